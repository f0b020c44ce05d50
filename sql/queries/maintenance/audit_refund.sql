-- At most one refund, never more than the debit, and equal to the `refunded` of the execution.
-- Columns as in audit_active.
SELECT e.id AS subject, CONCAT('cost ', e.cost, ', refunded ', e.refunded, ', ledger ', COALESCE(r.n, 0), ' of ', COALESCE(r.total, 0)) AS detail
FROM executions e
LEFT JOIN (
  SELECT workspace_id, execution_id, COUNT(*) AS n, SUM(amount) AS total
  FROM credit_ledger WHERE kind = 3 GROUP BY workspace_id, execution_id
) r ON r.execution_id = e.id AND r.workspace_id = e.workspace_id
WHERE COALESCE(r.n, 0) > 1 OR COALESCE(r.total, 0) <> e.refunded OR e.refunded < 0 OR e.refunded > e.cost
