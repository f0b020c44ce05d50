-- Events whose execution does not exist. Reports one row an execution, the one of event 1.
SELECT v.execution_id, 'has events, is not there'
FROM events v
LEFT JOIN executions e ON e.id = v.execution_id
WHERE v.seq = 1 AND e.id IS NULL
