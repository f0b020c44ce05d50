-- Columns as in operator_find_workspace.
-- A workflow that is not archived comes first: an archived one is found only if no other has its name.
SELECT id FROM workflows w
WHERE name = ? AND (? IS NULL OR workspace_id = ?)
  AND (archived_ms IS NULL OR NOT EXISTS (SELECT 1 FROM workflows o WHERE o.name = w.name AND o.workspace_id = w.workspace_id AND o.archived_ms IS NULL))
ORDER BY id LIMIT 11
