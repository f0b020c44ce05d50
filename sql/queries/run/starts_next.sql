-- The next workspace with runs whose start has come, after a given one (as waits_next_due).
SELECT workspace_id FROM waits FORCE INDEX (by_turn) WHERE due = 2 AND workspace_id > ? ORDER BY workspace_id LIMIT 1
