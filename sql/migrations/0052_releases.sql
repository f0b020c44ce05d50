-- millrace: reviewed: the views keep the columns that they had and get another one behind them
-- What was held for the use of a run and not used returns as a ledger row of its own, kind 6.
CREATE OR REPLACE SQL SECURITY DEFINER VIEW credit_ledger_view AS
SELECT l.workspace_id, w.name AS workspace, l.id,
       TIMESTAMP('1970-01-01') + INTERVAL CONV(LEFT(REPLACE(CAST(l.id AS CHAR), '-', ''), 12), 16, 10) * 1000 MICROSECOND
         AS at,
       CASE l.kind WHEN 1 THEN 'grant' WHEN 2 THEN 'debit' WHEN 3 THEN 'refund' WHEN 4 THEN 'expiry' WHEN 5 THEN 'void'
         WHEN 6 THEN 'release' END AS kind,
       CAST(l.amount / 1000000 AS DECIMAL(20, 6)) AS credits,
       l.execution_id, l.responder_id, l.key_id, l.reason,
       COALESCE(f.name, s.slug) AS responder, k.prefix AS key_prefix, r.reference, l.grant_id
FROM credit_ledger l
JOIN workspaces w ON w.id = l.workspace_id
LEFT JOIN workflows f ON f.id = l.responder_id
LEFT JOIN skills s ON s.id = l.responder_id
LEFT JOIN api_keys k ON k.id = l.key_id
LEFT JOIN credit_references r ON l.kind = 1 AND r.workspace_id = l.workspace_id
  AND r.ledger_id = IF(l.amount > 0 AND l.grant_id <> '00000000-0000-7000-8000-000000000000', l.grant_id, l.id);

-- closing = opening + grants - usage + refunds + releases - expired - voided
CREATE OR REPLACE SQL SECURITY DEFINER VIEW credit_statement_monthly AS
SELECT workspace_id, workspace, month,
       SUM(change_of_month) OVER (PARTITION BY workspace_id ORDER BY month) - change_of_month AS opening,
       grants, usage_of_month AS `usage`, refunds,
       SUM(change_of_month) OVER (PARTITION BY workspace_id ORDER BY month) AS closing,
       runs, expired, voided, releases
FROM (SELECT m.workspace_id, w.name AS workspace, CONCAT(LPAD(m.month DIV 12, 4, '0'), '-', LPAD(m.month MOD 12 + 1, 2, '0')) AS month,
             CAST(SUM(m.amount) / 1000000 AS DECIMAL(20, 6)) AS change_of_month,
             CAST(SUM(IF(m.kind = 1, m.amount, 0)) / 1000000 AS DECIMAL(20, 6)) AS grants,
             CAST(-SUM(IF(m.kind = 2, m.amount, 0)) / 1000000 AS DECIMAL(20, 6)) AS usage_of_month,
             CAST(SUM(IF(m.kind NOT IN (1, 2, 4, 5, 6), m.amount, 0)) / 1000000 AS DECIMAL(20, 6)) AS refunds,
             SUM(IF(m.kind = 2, m.n, 0)) AS runs,
             CAST(-SUM(IF(m.kind = 4, m.amount, 0)) / 1000000 AS DECIMAL(20, 6)) AS expired,
             CAST(-SUM(IF(m.kind = 5, m.amount, 0)) / 1000000 AS DECIMAL(20, 6)) AS voided,
             CAST(SUM(IF(m.kind = 6, m.amount, 0)) / 1000000 AS DECIMAL(20, 6)) AS releases
      FROM credit_months m
      JOIN workspaces w ON w.id = m.workspace_id
      GROUP BY m.workspace_id, w.name, m.month) t;
