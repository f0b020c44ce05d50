UPDATE blobs SET dead = 0, touched_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) WHERE sha256 IN ([[?]])
