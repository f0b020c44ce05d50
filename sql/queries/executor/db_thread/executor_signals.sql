SELECT seq, step, item, name, at_ms, sender, data FROM signals WHERE execution_id = ? AND state = 1 ORDER BY step, item
