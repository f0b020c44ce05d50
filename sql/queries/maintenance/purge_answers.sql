-- Stored answers, but those of a workflow's stop, which hold nothing but the id. Without a body a replay shows the
-- execution as it is.
UPDATE idempotency_keys k FORCE INDEX (execution_id)
JOIN executions e ON e.id = k.execution_id
SET k.body = NULL
WHERE k.execution_id IN ([[?]]) AND (e.kind = 2 OR k.status <> 200)
