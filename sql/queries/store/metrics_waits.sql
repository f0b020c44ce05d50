-- Parked runs and runs that wait for their start; of the former, how many wait for a signal (reason 4); of the latter, how many; the earliest time at which one of all wakes.
SELECT COUNT(*) AS n, CAST(COALESCE(SUM(reason = 4), 0) AS SIGNED) AS signals_n, (SELECT CAST(COALESCE(SUM(delayed_runs), 0) AS SIGNED) FROM accounts) AS delayed_n,
  LEAST(COALESCE((SELECT MIN(wake_ms) FROM waits WHERE due = 0), 9223372036854775807),
        COALESCE((SELECT MIN(wake_ms) FROM waits WHERE due = 1), 9223372036854775807)) AS first_wake_ms
FROM waits
