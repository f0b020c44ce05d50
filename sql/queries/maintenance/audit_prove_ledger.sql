-- Reads the ledger once for the checks balance, grant, parts, ledger_stray, ledger_sums and debit_stray. `detail` names those that a workspace or
-- grant may violate; then their own queries tell which rows do. What must agree is counted with opposite signs, so that its sum is 0:
-- i = 1, of a workspace: 1 ledger and balance, 2 debits and executions, 3 rows without a grant, or with an id of zeros, and those with parts, 4 rows without their execution;
-- i = 2, of a kind in a workspace: 1 and 3 ledger and days, 2 and 4 ledger and months, rows and amounts;
-- i = 3, of a grant: 1 ledger with parts and what it has left.
-- Columns as in audit_active.
SELECT IF(t.i = 3, t.grant_id, t.workspace_id) AS subject,
  CONCAT_WS(',',
    IF(t.i = 1 AND SUM(t.known) = 0 AND SUM(t.n) > 0, 'ledger_stray', NULL),
    IF(t.i = 1 AND SUM(t.known) > 0 AND (SUM(t.d1) <> 0 OR SUM(t.wrong) > 0), 'balance', NULL),
    IF(t.i = 1 AND (SUM(t.d2) <> 0 OR SUM(t.d4) <> 0), 'debit_stray', NULL),
    IF(t.i = 1 AND (SUM(t.d3) <> 0 OR SUM(t.odd) > 0), 'parts', NULL),
    IF(t.i = 2 AND (SUM(t.d1) <> 0 OR SUM(t.d2) <> 0 OR SUM(t.d3) <> 0 OR SUM(t.d4) <> 0), 'ledger_sums', NULL),
    IF(t.i = 3 AND SUM(t.known) = 0 AND SUM(t.n) > 0, 'parts', NULL),
    IF(t.i = 3 AND SUM(t.known) > 0 AND (SUM(t.d1) <> 0 OR SUM(t.wrong) > 0), 'grant', NULL)) AS detail
FROM (
  SELECT v.i, l.workspace_id, IF(v.i = 2, l.kind, 0) AS kind, IF(v.i = 3, l.grant_id, CAST('00000000-0000-0000-0000-000000000000' AS UUID)) AS grant_id,
    0 AS known, IF(v.i = 3 AND l.rolled_up, 0, l.n) AS n, IF(v.i = 2, l.numbered_n, l.total) AS d1,
    CASE v.i WHEN 1 THEN l.debits WHEN 2 THEN l.numbered_n ELSE 0 END AS d2, CASE v.i WHEN 1 THEN l.shared WHEN 2 THEN l.numbered ELSE 0 END AS d3,
    CASE v.i WHEN 1 THEN l.strays WHEN 2 THEN l.numbered ELSE 0 END AS d4, 0 AS wrong, 0 AS odd
  FROM (
    SELECT l.workspace_id, l.kind, COALESCE(l.grant_id, CAST('00000000-0000-0000-0000-000000000000' AS UUID)) AS grant_id, 0 AS rolled_up,
      COUNT(*) AS n, SUM(l.amount) AS total, COUNT(l.number) AS numbered_n, SUM(IF(l.number IS NULL, 0, l.amount)) AS numbered,
      SUM(l.kind = 2 AND l.id <=> l.execution_id AND (r.removed_to IS NULL OR l.id > r.removed_to)) AS debits,
      SUM(IF(l.grant_id IS NULL, l.amount <> 0, l.grant_id = '00000000-0000-0000-0000-000000000000')) AS shared,
      SUM(IF(l.kind = 2, NOT l.id <=> l.execution_id,
             l.kind IN (3, 6) AND e.id IS NULL AND (r.removed_to IS NULL OR l.execution_id IS NULL OR l.execution_id > r.removed_to))) AS strays
    FROM credit_ledger l
    LEFT JOIN retention r ON r.workspace_id = l.workspace_id
    LEFT JOIN executions e ON e.id = IF(l.kind IN (3, 6), l.execution_id, NULL) AND e.workspace_id = l.workspace_id
    GROUP BY l.workspace_id, l.kind, l.grant_id
    UNION ALL
    SELECT workspace_id, kind, grant_id, 1, SUM(n), SUM(amount), SUM(n), SUM(amount), 0, 0, 0
    FROM ledger_rollup_sums GROUP BY workspace_id, kind, grant_id
  ) l
  JOIN (SELECT 1 AS i UNION ALL SELECT 2 UNION ALL SELECT 3) v ON v.i < 3 OR l.grant_id <> '00000000-0000-0000-0000-000000000000'
  UNION ALL
  SELECT 1, workspace_id, 0, CAST('00000000-0000-0000-0000-000000000000' AS UUID), 1, 0, -balance, 0, 0, 0, balance < 0, 0 FROM accounts
  UNION ALL
  SELECT 1, e.workspace_id, 0, CAST('00000000-0000-0000-0000-000000000000' AS UUID), 0, 0, 0, -COUNT(*), 0, 0, 0, 0
  FROM executions e FORCE INDEX (by_workspace)
  LEFT JOIN retention r ON r.workspace_id = e.workspace_id
  WHERE r.removed_to IS NULL OR e.id > r.removed_to
  GROUP BY e.workspace_id
  UNION ALL
  SELECT 1, p.workspace_id, 0, CAST('00000000-0000-0000-0000-000000000000' AS UUID), 0, 0, 0, 0, -SUM(COALESCE(l.amount, 0) <> 0), 0, 0,
    SUM(l.id IS NULL OR l.grant_id IS NOT NULL OR l.amount <> p.total)
  FROM (SELECT workspace_id, ledger_id, SUM(amount) AS total FROM credit_parts GROUP BY workspace_id, ledger_id) p
  LEFT JOIN credit_ledger l ON l.workspace_id = p.workspace_id AND l.id = p.ledger_id
  GROUP BY p.workspace_id
  UNION ALL
  SELECT 3, workspace_id, 0, grant_id, 0, COUNT(*), SUM(amount), 0, 0, 0, 0, 0 FROM credit_parts GROUP BY workspace_id, grant_id
  UNION ALL
  SELECT 3, g.workspace_id, 0, g.id, 1, 0, -IF(g.state = 1, 0, IF(g.id <=> a.head_grant, a.head_remaining, g.remaining)), 0, 0, 0,
    (g.state > 2 AND g.remaining <> 0) OR (g.state = 1 AND g.remaining <> g.amount), 0
  FROM credit_grants g
  JOIN accounts a ON a.workspace_id = g.workspace_id
  UNION ALL
  SELECT 2, workspace_id, kind, CAST('00000000-0000-0000-0000-000000000000' AS UUID), 0, 0, -SUM(n), 0, -SUM(amount), 0, 0, 0
  FROM credit_sums GROUP BY workspace_id, kind
  UNION ALL
  SELECT 2, workspace_id, kind, CAST('00000000-0000-0000-0000-000000000000' AS UUID), 0, 0, 0, -SUM(n), 0, -SUM(amount), 0, 0
  FROM credit_months GROUP BY workspace_id, kind
) t
GROUP BY t.i, t.workspace_id, t.kind, t.grant_id
HAVING detail <> ''
UNION ALL
SELECT 'ledger_numbers', 'ledger_sums'
FROM ledger_numbers n
WHERE n.last < (SELECT MAX(l.number) FROM credit_ledger l)
