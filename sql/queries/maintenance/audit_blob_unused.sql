-- A blob that no row names is marked as dead; the hourly sweep does that for blobs whose rows were never written.
-- Columns as in audit_active.
SELECT HEX(b.sha256) AS subject, 'is named by no row and not marked as dead' AS detail
FROM blobs b
WHERE b.dead = 0 AND b.touched_ms < CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - 10800000
  AND NOT EXISTS (SELECT 1 FROM files f WHERE f.sha256 = b.sha256) AND NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.sha256 = b.sha256)
  AND NOT EXISTS (SELECT 1 FROM execution_usage u WHERE u.log_sha256 = b.sha256)
  AND NOT EXISTS (SELECT 1 FROM skill_versions v WHERE v.hash = b.sha256)
