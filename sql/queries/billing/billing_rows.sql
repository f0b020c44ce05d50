-- What the ledger sums to, of workspaces between two ids, in one snapshot: 1 before a month, 2 in the month's days, 3 what is not in
-- the sums yet. `day` of 3: quarters of an hour since 1970, which divide days in every time zone. The limit is that of all rows.
SELECT 1 AS source, workspace_id, 0 AS day, kind, CAST('00000000-0000-0000-0000-000000000000' AS UUID) AS responder_id,
  CAST('00000000-0000-0000-0000-000000000000' AS UUID) AS key_id, CAST('00000000-0000-0000-0000-000000000000' AS UUID) AS grant_id,
  CAST(SUM(n) AS SIGNED) AS n, CAST(SUM(amount) AS SIGNED) AS amount
FROM credit_months
WHERE workspace_id BETWEEN ? AND ? AND month < ?
GROUP BY workspace_id, kind
UNION ALL
SELECT 2, workspace_id, IF(?, day, 0) AS d, kind, responder_id, key_id, grant_id, CAST(SUM(n) AS SIGNED), CAST(SUM(amount) AS SIGNED)
FROM credit_sums
WHERE workspace_id BETWEEN ? AND ? AND day >= ? AND day < ?
GROUP BY workspace_id, d, kind, responder_id, key_id, grant_id
UNION ALL
SELECT 3, l.workspace_id, CAST(CONV(LEFT(REPLACE(CAST(l.id AS CHAR), '-', ''), 12), 16, 10) DIV 900000 AS SIGNED) AS slot, l.kind,
  COALESCE(l.responder_id, '00000000-0000-0000-0000-000000000000') AS r, COALESCE(l.key_id, '00000000-0000-0000-0000-000000000000') AS k,
  COALESCE(l.grant_id, p.grant_id, '00000000-0000-0000-0000-000000000000') AS g,
  CAST(SUM(p.grant_id IS NULL OR p.grant_id = (SELECT MIN(q.grant_id) FROM credit_parts q WHERE q.workspace_id = l.workspace_id AND q.ledger_id = l.id))
    AS SIGNED),
  CAST(SUM(COALESCE(p.amount, l.amount)) AS SIGNED)
FROM credit_ledger l FORCE INDEX (by_number)
LEFT JOIN credit_parts p ON l.grant_id IS NULL AND p.workspace_id = l.workspace_id AND p.ledger_id = l.id
WHERE l.number IS NULL AND l.workspace_id BETWEEN ? AND ?
GROUP BY l.workspace_id, slot, l.kind, r, k, g
LIMIT ?
