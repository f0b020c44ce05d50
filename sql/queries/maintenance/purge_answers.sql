-- Erases stored responses. The response to stopping a workflow's run (kind 1, status 200) is kept, because it contains only
-- the id. Where a body was erased, a replay shows the execution instead.
UPDATE idempotency_keys k FORCE INDEX (execution_id)
JOIN executions e ON e.id = k.execution_id
SET k.body = NULL
WHERE k.execution_id IN ([[?]]) AND (e.kind = 2 OR k.status <> 200)
