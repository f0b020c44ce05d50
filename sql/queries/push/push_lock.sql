SELECT url, kinds, auth, nonce, sealed, number, alone_to, failures, name, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms
FROM pushes WHERE id = ? AND paused = 0 AND due_ms <= UNIX_TIMESTAMP(NOW(3)) * 1000
FOR UPDATE SKIP LOCKED
