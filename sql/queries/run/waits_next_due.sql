-- The next workspace with parked runs that are due after a given one, in the order of the index (as states_next_queued).
SELECT workspace_id FROM waits FORCE INDEX (by_turn) WHERE due = 1 AND workspace_id > ? ORDER BY workspace_id LIMIT 1
