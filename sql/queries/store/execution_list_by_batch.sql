-- The range is one millisecond (id_derive).
-- Columns as in execution_list.
SELECT e.id FROM executions e FORCE INDEX (PRIMARY)
WHERE e.id BETWEEN ? AND ? AND e.id > ? AND e.id < ? AND e.workspace_id = ? AND RIGHT(CAST(e.id AS CHAR), 16) = ?
  AND (? IS NULL OR e.responder_id = ?) AND (? IS NULL OR e.state = ?)
  AND (? IS NULL OR EXISTS (SELECT 1 FROM execution_tags t WHERE t.workspace_id = e.workspace_id AND t.tag = ? AND t.execution_id = e.id))
ORDER BY e.id DESC
LIMIT ? OFFSET ?
