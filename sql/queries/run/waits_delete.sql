-- Parked runs that are woken, or end. Their rows in `executions` are locked.
DELETE FROM waits WHERE execution_id IN ([[?]])
