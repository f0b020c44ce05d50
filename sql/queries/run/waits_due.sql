-- The parked runs of a workspace that are due, in the order of their time. Nothing is locked.
SELECT execution_id FROM waits FORCE INDEX (by_turn) WHERE due = 1 AND workspace_id = ? ORDER BY wake_ms, execution_id LIMIT ? OFFSET ?
