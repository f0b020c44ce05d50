INSERT INTO schedule_occurrences (schedule_id, nominal_ms, workspace_id, origin, state, reason, execution_id, is_open, decided_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
