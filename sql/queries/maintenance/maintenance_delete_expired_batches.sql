-- By MariaDB's clock. Few rows, because each may hold megabytes of results.
DELETE FROM batches WHERE expires_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) LIMIT 20
