-- Parked runs, and the earliest time at which one of them wakes.
SELECT COUNT(*) AS n,
  LEAST(COALESCE((SELECT MIN(wake_ms) FROM waits WHERE due = 0), 9223372036854775807),
        COALESCE((SELECT MIN(wake_ms) FROM waits WHERE due = 1), 9223372036854775807)) AS first_wake_ms
FROM waits
