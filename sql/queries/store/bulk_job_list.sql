-- Columns as in bulk_job_get. A list shows no selection, and filters that were kept as sent, with up to 1 MiB of blanks, are read without them.
SELECT j.id, j.workspace_id, j.principal_id, j.key_id, j.action, j.state, j.reason, j.kinds, IF(OCTET_LENGTH(j.filter) <= 16384, j.filter, JSON_COMPACT(j.filter)) AS filter, '{}' AS selection, j.from_step, j.is_current, j.below_id,
  j.matched, j.is_collected, j.is_truncated, j.due_ms, j.created_ms, j.updated_ms, j.ended_ms, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms,
  (SELECT COUNT(*) FROM api_keys k WHERE k.id = j.key_id AND k.revoked_ms IS NULL AND (k.expires_ms IS NULL OR k.expires_ms > CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)))
  + (SELECT COUNT(*) FROM operators o WHERE o.id = j.key_id AND o.revoked_ms IS NULL AND (o.expires_ms IS NULL OR o.expires_ms > CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))) AS valid_keys
FROM bulk_jobs j FORCE INDEX (by_workspace)
WHERE j.workspace_id = ? AND j.id < ?
ORDER BY j.id DESC
LIMIT ?
