-- Every execution that succeeded has its result.
SELECT id, 'no result' FROM executions WHERE state = 3 AND purged_ms IS NULL AND output IS NULL
