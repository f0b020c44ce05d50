-- Columns as in audit_active.
SELECT MIN(id) AS subject, CONCAT(COUNT(*), ' exposed workflows have the tool ', tool) AS detail
FROM workflows
WHERE tool IS NOT NULL AND archived_ms IS NULL
GROUP BY workspace_id, tool
HAVING COUNT(*) > 1
