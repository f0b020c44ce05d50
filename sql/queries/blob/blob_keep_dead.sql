-- Blobs whose file was just written: looked at again in ten minutes.
UPDATE blobs SET touched_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) WHERE sha256 IN ([[?]])
