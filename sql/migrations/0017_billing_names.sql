-- What an invoice needs: a reference that makes a grant idempotent, and names beside the ids.

-- A table of its own: the ledger has millions of debits, none of which has a reference.
CREATE TABLE credit_references (
  workspace_id UUID           NOT NULL,
  reference    VARBINARY(200) NOT NULL,
  ledger_id    UUID           NOT NULL,              -- the grant
  PRIMARY KEY (workspace_id, reference),
  UNIQUE KEY (workspace_id, ledger_id)
) ENGINE=InnoDB;

-- responder: the name of the workflow (also of an archived one) or the slug of the skill. key_prefix: the beginning of the key that
-- may be shown.
CREATE OR REPLACE SQL SECURITY DEFINER VIEW credit_ledger_view AS
SELECT l.workspace_id, w.name AS workspace, l.id,
       TIMESTAMP('1970-01-01') + INTERVAL CONV(LEFT(REPLACE(CAST(l.id AS CHAR), '-', ''), 12), 16, 10) * 1000 MICROSECOND
         AS at,
       CASE l.kind WHEN 1 THEN 'grant' WHEN 2 THEN 'debit' WHEN 3 THEN 'refund' END AS kind,
       CAST(l.amount / 1000000 AS DECIMAL(20, 6)) AS credits,
       l.execution_id, l.responder_id, l.key_id, l.reason,
       COALESCE(f.name, s.slug) AS responder, k.prefix AS key_prefix, r.reference
FROM credit_ledger l
JOIN workspaces w ON w.id = l.workspace_id
LEFT JOIN workflows f ON f.id = l.responder_id
LEFT JOIN skills s ON s.id = l.responder_id
LEFT JOIN api_keys k ON k.id = l.key_id
LEFT JOIN credit_references r ON l.kind = 1 AND r.workspace_id = l.workspace_id AND r.ledger_id = l.id;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW credit_usage_daily AS
SELECT workspace_id, workspace, DATE(at) AS day, responder_id, key_id,
       SUM(kind = 'debit') AS runs,
       -SUM(IF(kind = 'debit', credits, 0)) AS debited,
       SUM(IF(kind = 'refund', credits, 0)) AS refunded,
       -SUM(credits) AS used,
       responder, key_prefix
FROM credit_ledger_view
WHERE kind IN ('debit', 'refund')
GROUP BY workspace_id, workspace, DATE(at), responder_id, key_id, responder, key_prefix;

-- One line for each workspace and month (UTC) with an entry: closing = opening + grants - usage + refunds.
CREATE SQL SECURITY DEFINER VIEW credit_statement_monthly AS
SELECT workspace_id, workspace, month,
       SUM(change_of_month) OVER (PARTITION BY workspace_id ORDER BY month) - change_of_month AS opening,
       grants, usage_of_month AS `usage`, refunds,
       SUM(change_of_month) OVER (PARTITION BY workspace_id ORDER BY month) AS closing,
       runs
FROM (SELECT workspace_id, workspace, DATE_FORMAT(at, '%Y-%m') AS month,
             SUM(credits) AS change_of_month,
             SUM(IF(kind = 'grant', credits, 0)) AS grants,
             -SUM(IF(kind = 'debit', credits, 0)) AS usage_of_month,
             SUM(IF(kind = 'refund', credits, 0)) AS refunds,
             SUM(kind = 'debit') AS runs
      FROM credit_ledger_view
      GROUP BY workspace_id, workspace, DATE_FORMAT(at, '%Y-%m')) m;
