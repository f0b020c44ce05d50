-- After a failure: due again after 10 s, 20 s, 40 s … about 3 hours.
UPDATE retention
SET due_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) + 10000 * (1 << LEAST(failures, 10)), failures = failures + 1
WHERE workspace_id = ?
