-- How long ago the first of the parked runs, or of the runs that wait for their start, was to be woken; negative: none was.
SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
  - LEAST(COALESCE((SELECT MIN(wake_ms) FROM waits WHERE due = 0), 9223372036854775807),
          COALESCE((SELECT MIN(wake_ms) FROM waits WHERE due = 1), 9223372036854775807)) AS lag_ms
