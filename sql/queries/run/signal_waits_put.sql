INSERT INTO signal_waits (execution_id, step, item, name, due_ms, message)
VALUES {{(?, ?, ?, ?, ?, ?)}}
