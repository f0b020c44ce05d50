-- The earliest time at which one of the parked runs, or of the runs that wait for their start, wakes.
SELECT LEAST(COALESCE((SELECT MIN(wake_ms) FROM waits WHERE due = 0), 9223372036854775807),
             COALESCE((SELECT MIN(wake_ms) FROM waits WHERE due = 1), 9223372036854775807)) AS first_wake_ms
