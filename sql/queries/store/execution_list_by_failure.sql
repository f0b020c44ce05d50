-- One range of failed runs. A hash is compared in rows of some 100 bytes; the run's own row is read for a text.
-- Columns as in execution_list.
SELECT f.execution_id AS id
FROM execution_failures f FORCE INDEX (PRIMARY)
STRAIGHT_JOIN executions e FORCE INDEX (PRIMARY) ON e.id = f.execution_id
WHERE f.workspace_id = ? AND f.execution_id >= ? AND f.execution_id > ? AND f.execution_id < ?
  AND f.execution_id BETWEEN ? AND ? AND (? IS NULL OR RIGHT(CAST(f.execution_id AS CHAR), 16) = ?)
  AND (? IS NULL OR FIND_IN_SET(CAST(f.responder_id AS CHAR), ?))
  AND (? IS NULL OR f.hash = ?)
  AND (? IS NULL OR LOCATE(LOWER(?), LOWER(e.error)) > 0)
  AND (? IS NULL OR e.parent_id = ?)
  AND (? IS NULL OR EXISTS (SELECT 1 FROM execution_tags t WHERE t.workspace_id = f.workspace_id AND t.tag = ? AND t.execution_id = f.execution_id))
ORDER BY f.execution_id DESC
LIMIT ? OFFSET ?
