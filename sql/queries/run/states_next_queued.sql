-- The next workspace with queued runs after a given one, in the order of the index: one descent, however many runs are queued. (A DISTINCT
-- over several workspaces reads all their rows in MariaDB 10.11, and so does a recursive query.)
SELECT workspace_id
FROM executions FORCE INDEX (by_turn)
WHERE state = ? AND executor_id = 0 AND workspace_id > ?
ORDER BY workspace_id
LIMIT 1
