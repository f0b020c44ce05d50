-- Dead blobs that were not touched for ten minutes, and whether a row names them.
SELECT b.sha256, b.object, EXISTS (SELECT 1 FROM files f WHERE f.sha256 = b.sha256) OR EXISTS (SELECT 1 FROM artifacts a WHERE a.sha256 = b.sha256)
  OR EXISTS (SELECT 1 FROM execution_usage u WHERE u.log_sha256 = b.sha256)
  OR EXISTS (SELECT 1 FROM skill_versions v WHERE v.hash = b.sha256) AS is_referenced
FROM blobs b FORCE INDEX (by_dead)
WHERE b.dead = 1 AND b.touched_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - 600000
ORDER BY b.touched_ms
LIMIT 100
FOR UPDATE SKIP LOCKED
