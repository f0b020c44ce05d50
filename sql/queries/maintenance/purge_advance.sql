-- The next slice is another run's, if others wait.
UPDATE purges SET stage = ?, step = ?, item = ?, due_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) WHERE execution_id = ?
