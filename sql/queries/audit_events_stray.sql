-- Events of executions that are not there.
SELECT v.execution_id, 'no such execution'
FROM (SELECT DISTINCT execution_id FROM events) v
LEFT JOIN executions e ON e.id = v.execution_id
WHERE e.id IS NULL
