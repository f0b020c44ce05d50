-- At most one refund or release, never more than the debit or what was held, and equal to the `refunded` of the execution.
-- Columns as in audit_active.
SELECT e.id AS subject, CONCAT('cost ', e.cost, ', held ', e.held, ', refunded ', e.refunded, ', ledger ', COALESCE(r.n, 0), ' of ', COALESCE(r.total, 0)) AS detail
FROM executions e
LEFT JOIN (
  SELECT workspace_id, execution_id, COUNT(*) AS n, SUM(amount) AS total, SUM(IF(kind = 6, amount, 0)) AS released
  FROM credit_ledger WHERE kind IN (3, 6) GROUP BY workspace_id, execution_id
) r ON r.execution_id = e.id AND r.workspace_id = e.workspace_id
WHERE COALESCE(r.n, 0) > 1 OR COALESCE(r.total, 0) <> e.refunded OR e.refunded < 0 OR e.refunded > e.cost OR COALESCE(r.released, 0) > e.held
