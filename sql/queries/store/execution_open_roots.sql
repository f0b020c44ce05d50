-- Candidates for the count of active roots, ascending like every lock on runs. Under the account's lock no root can be added. Runs that wait for their start are not counted.
SELECT id FROM executions WHERE workspace_id = ? AND state IN (1, 2) AND parent_id IS NULL AND executor_id <> 9223372036854775807 ORDER BY id
