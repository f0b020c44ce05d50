-- Changes no row if another node was faster, or if the writer has shown a sign of life.
UPDATE cluster_writer SET node = ?, since_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), beat = beat + 1
WHERE id = 1 AND node = ? AND beat = ?
