-- Every file, artifact and log that a row names has its row in blobs.
-- Columns as in audit_active.
SELECT n.subject, CONCAT(n.what, ' names the blob ', HEX(n.sha256), ', which has no row') AS detail
FROM (SELECT workspace_id AS subject, 'a file' AS what, sha256 FROM files
      UNION ALL SELECT execution_id, 'an artifact', sha256 FROM artifacts
      UNION ALL SELECT execution_id, 'a log', log_sha256 FROM execution_usage WHERE log_sha256 IS NOT NULL) n
LEFT JOIN blobs b ON b.sha256 = n.sha256
WHERE b.sha256 IS NULL
