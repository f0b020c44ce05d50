-- How many runs have begun and ended, for GET /metrics (lib/run/run_counts.h). At most a few hundred rows.
CREATE TABLE run_counts (
  measure TINYINT UNSIGNED NOT NULL,                 -- 1 ends, 2 time queued, 3 time running
  kind    TINYINT UNSIGNED NOT NULL,
  place   TINYINT UNSIGNED NOT NULL,                 -- ends: the state; times: the bucket
  reason  TINYINT UNSIGNED NOT NULL DEFAULT 0,
  n       BIGINT UNSIGNED  NOT NULL DEFAULT 0,
  sum_ms  BIGINT UNSIGNED  NOT NULL DEFAULT 0,
  PRIMARY KEY (measure, kind, place, reason)
) ENGINE=InnoDB;
