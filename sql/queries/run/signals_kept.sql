SELECT seq, name FROM signals WHERE execution_id = ? AND state = 0 ORDER BY seq
