-- The newest event of a type, of a run with few events: they are read from the newest on.
SELECT data FROM events WHERE execution_id = ? AND type = ? ORDER BY seq DESC LIMIT 1
