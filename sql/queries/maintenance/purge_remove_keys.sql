DELETE k FROM idempotency_keys AS k FORCE INDEX (execution_id) WHERE k.execution_id IN ([[?]])
