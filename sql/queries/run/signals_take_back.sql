-- Signals that were given to waits which did not consume them.
UPDATE signals SET state = 0, step = NULL, item = NULL WHERE execution_id = ? AND state = 1
