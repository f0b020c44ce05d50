-- How long a process may act after a heartbeat. The others wait for longer before they take its runs; hosts may have different leases.
ALTER TABLE executors ADD COLUMN lease_ms INT UNSIGNED NOT NULL DEFAULT 10000, ALGORITHM=INSTANT;
