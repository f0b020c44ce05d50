-- Where the events of the current attempt begin: after the newest event of these types.
SELECT COALESCE(MAX(seq), 0) AS seq FROM events WHERE execution_id = ? AND type IN (?, ?)
