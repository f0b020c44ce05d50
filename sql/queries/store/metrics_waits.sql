-- Parked runs and runs that wait for their start; of the former, how many wait for a signal (reason 4); of the latter, how many.
SELECT COUNT(*) AS n, CAST(COALESCE(SUM(reason = 4), 0) AS SIGNED) AS signals_n, (SELECT CAST(COALESCE(SUM(delayed_runs), 0) AS SIGNED) FROM accounts) AS delayed_n
FROM waits
