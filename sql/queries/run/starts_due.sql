-- The runs of a workspace whose start has come, in the order of their starts. Nothing is locked.
SELECT execution_id FROM waits FORCE INDEX (by_turn) WHERE due = 2 AND workspace_id = ? ORDER BY wake_ms, execution_id LIMIT ?
