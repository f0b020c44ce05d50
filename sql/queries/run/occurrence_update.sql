-- An occurrence that waited, or whose place a newer one took.
UPDATE schedule_occurrences SET state = ?, reason = ?, execution_id = ?, is_open = ?, decided_ms = ?
WHERE schedule_id = ? AND nominal_ms = ?
