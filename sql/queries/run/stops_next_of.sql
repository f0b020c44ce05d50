-- The mark of one run, unless another process works on it.
-- Columns as in stops_next.
SELECT execution_id, workspace_id, root_id, at_ms, error FROM stops WHERE execution_id = ? FOR UPDATE SKIP LOCKED
