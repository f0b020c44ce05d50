-- What the caller of a run learns when it has ended.
SELECT kind, state, failure_reason, cost, refunded, error, output, key_id, purged_ms FROM executions FORCE INDEX (PRIMARY) WHERE id = ? AND workspace_id = ?
