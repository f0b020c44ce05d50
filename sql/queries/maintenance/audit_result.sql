-- Every execution that succeeded and was not purged has an output.
SELECT id, 'no result' FROM executions WHERE state = 3 AND purged_ms IS NULL AND output IS NULL
