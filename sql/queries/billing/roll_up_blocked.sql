-- Whether an execution of before an id exists, and a row of the ledger that is not in the sums; the number up to which each destination of the
-- usage push has got the ledger (NULL: there is none).
SELECT
  EXISTS (SELECT 1 FROM executions FORCE INDEX (by_workspace) WHERE workspace_id = ? AND id < ?) AS has_executions,
  EXISTS (SELECT 1 FROM credit_ledger FORCE INDEX (by_number) WHERE number IS NULL AND workspace_id = ? AND id < ?) AS has_unnumbered,
  (SELECT MIN(LEAST(p.number, COALESCE((SELECT MIN(s.first) - 1 FROM pushes_aside s WHERE s.push_id = p.id), p.number))) FROM pushes p) AS sent_to
