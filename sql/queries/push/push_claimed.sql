SELECT number, failures, failing_since_ms, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms FROM pushes WHERE id = ? AND claim = ? FOR UPDATE
