-- Rows after a hash. is_old: not touched for an hour.
SELECT b.sha256, b.size, b.dead, b.object, b.touched_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - 3600000 AS is_old,
  EXISTS (SELECT 1 FROM files f WHERE f.sha256 = b.sha256) OR EXISTS (SELECT 1 FROM artifacts a WHERE a.sha256 = b.sha256)
  OR EXISTS (SELECT 1 FROM execution_usage u WHERE u.log_sha256 = b.sha256)
  OR EXISTS (SELECT 1 FROM skill_versions v WHERE v.hash = b.sha256) AS is_referenced
FROM blobs b
WHERE b.sha256 > ?
ORDER BY b.sha256
LIMIT 500
