UPDATE cluster_writer SET node = ?, since_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), beat = beat + 1 WHERE id = 1
