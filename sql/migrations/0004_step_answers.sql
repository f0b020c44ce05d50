-- How many HTTP answers a step (or item) has had: numbers the Idempotency-Key of its next request, which stays the same
-- until an answer came, whoever sends it.
ALTER TABLE execution_steps ADD COLUMN answers INT NOT NULL DEFAULT 0 AFTER tries;
