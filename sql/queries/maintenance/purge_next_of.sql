-- Columns as in purge_next.
SELECT execution_id, removes, stage, step, item FROM purges WHERE execution_id = ? FOR UPDATE SKIP LOCKED
