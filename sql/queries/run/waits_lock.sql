-- Locks the rows of a transaction that deletes some and wakes others, in one ascending pass.
SELECT execution_id FROM waits WHERE execution_id IN ([[?]]) ORDER BY execution_id FOR UPDATE
