-- The idempotency keys that started or stopped these runs: their responses may be cached in Redis, too.
SELECT workspace_id, idempotency_key FROM idempotency_keys FORCE INDEX (execution_id) WHERE execution_id IN ([[?]])
