-- What the read-only user `millrace_billing` may see, and all it may see. SQL SECURITY DEFINER: the views read with the
-- rights of the administrator who migrates, and the billing user has none on the tables below them; nothing in here is
-- chosen by who asks. Times are UTC, taken from the ids (UUIDv7: the first 48 bits are milliseconds), whatever the
-- session's time zone.

CREATE SQL SECURITY DEFINER VIEW credit_ledger_view AS
SELECT l.workspace_id, w.name AS workspace, l.id,
       TIMESTAMP('1970-01-01') + INTERVAL CONV(LEFT(REPLACE(CAST(l.id AS CHAR), '-', ''), 12), 16, 10) * 1000 MICROSECOND
         AS at,
       CASE l.kind WHEN 1 THEN 'grant' WHEN 2 THEN 'debit' WHEN 3 THEN 'refund' END AS kind,
       CAST(l.amount / 1000000 AS DECIMAL(20, 6)) AS credits,
       l.execution_id, l.responder_id, l.key_id, l.reason
FROM credit_ledger l
JOIN workspaces w ON w.id = l.workspace_id;

CREATE SQL SECURITY DEFINER VIEW credit_usage_daily AS
SELECT workspace_id, workspace, DATE(at) AS day, responder_id, key_id,
       SUM(kind = 'debit') AS runs,
       -SUM(IF(kind = 'debit', credits, 0)) AS debited,
       SUM(IF(kind = 'refund', credits, 0)) AS refunded,
       -SUM(credits) AS used
FROM credit_ledger_view
WHERE kind IN ('debit', 'refund')
GROUP BY workspace_id, workspace, DATE(at), responder_id, key_id;
