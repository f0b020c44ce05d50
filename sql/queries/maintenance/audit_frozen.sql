-- Nothing of a workspace that was exported is in progress: it would end in this cell and not in the other one.
-- Columns as in audit_active.
SELECT a.workspace_id AS subject, CONCAT('exported, with an execution that has not ended: ', e.id) AS detail
FROM accounts a
JOIN executions e ON e.workspace_id = a.workspace_id AND e.state IN (1, 2)
WHERE a.frozen = 1
