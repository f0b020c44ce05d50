-- Runs that were accepted with a start or an expiry. The row lives as long as the run.
--
-- Before its start, a run is `queued`, its `executor_id` is 9223372036854775807 (RUN_DELAYED_EXECUTOR in lib/run/states.h), which keeps it
-- out of every claim, and it has a row in `waits` with the reason `start`. Until the first claim, `deadline_ms` of a root is its expiry.
CREATE TABLE run_times (
  execution_id UUID             NOT NULL PRIMARY KEY,
  start_ms     BIGINT           NULL,               -- as accepted, or as it was moved; NULL: at once
  expires_ms   BIGINT           NULL,               -- NULL: never
  settled      TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: its expiry has come and was dealt with
  KEY by_expiry (settled, expires_ms)
) ENGINE=InnoDB;

-- Runs of the workspace that wait for their start; changed under the account's lock.
ALTER TABLE accounts ADD COLUMN delayed_runs INT NOT NULL DEFAULT 0;
