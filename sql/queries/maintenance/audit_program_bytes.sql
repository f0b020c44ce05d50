-- Where bytes of programs are counted, the counter equals their sum. 1024: see QUOTA_VERSION_BYTES.
-- Columns as in audit_active.
SELECT q.workspace_id AS subject, CONCAT('counted ', q.used, ', stored ', COALESCE(p.total, 0)) AS detail
FROM quotas q
LEFT JOIN (
  SELECT w.workspace_id, SUM(LENGTH(v.program) + 1024) AS total
  FROM workflows w
  JOIN workflow_versions v ON v.workflow_id = w.id
  GROUP BY w.workspace_id
) p ON p.workspace_id = q.workspace_id
WHERE q.name = 'program_bytes' AND q.used <> COALESCE(p.total, 0)
