-- Fields for operators that the API does not return.
SELECT e.workspace_id, e.root_id, e.depth, e.principal_id, e.key_id, e.attempt, e.losses, NULLIF(e.executor_id, 9223372036854775807) AS executor_id, x.host, x.pid, e.effects,
  e.deadline_ms, e.last_seq
FROM executions e
LEFT JOIN executors x ON x.id = e.executor_id
WHERE e.id = ?
