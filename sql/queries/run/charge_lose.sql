-- The executor of these runs was lost. Nobody knows how long it worked, so the time is not counted.
UPDATE execution_charges SET since_ms = NULL WHERE execution_id IN ([[?]])
