-- The time of an executor's last heartbeat, by MariaDB's clock, for operators. Decisions use the counter `beat`, not this time.
ALTER TABLE executors ADD COLUMN beat_ms BIGINT NULL;
