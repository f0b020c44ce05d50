-- What the store of bytes holds (lib/blob). A row appears in the transaction that writes the first row that names the blob. The
-- transaction that takes a name away marks it as dead; maintenance looks ten minutes later whether another row names it, and
-- removes the bytes and the row if none does.
CREATE TABLE blobs (
  sha256     BINARY(32)       NOT NULL PRIMARY KEY,
  size       BIGINT           NOT NULL,
  dead       TINYINT UNSIGNED NOT NULL,              -- 1: a name was taken away since the blob was last used
  touched_ms BIGINT           NOT NULL,              -- when it was last used or marked, by MariaDB's clock
  KEY by_dead (dead, touched_ms)
) ENGINE=InnoDB;

INSERT INTO blobs
SELECT sha256, MAX(size), 0, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
FROM (SELECT sha256, size FROM files UNION ALL SELECT sha256, size FROM artifacts
      UNION ALL SELECT log_sha256, log_size FROM execution_usage WHERE log_sha256 IS NOT NULL) named
GROUP BY sha256;
