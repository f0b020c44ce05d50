-- What runs of the workflows and skills of a workspace cost: the operator's own price, what the current version asks for, and the workspace's price.
SELECT p.id, p.kind, p.price, p.credits, p.agentic, a.price AS workspace_price
FROM accounts a
JOIN (
  (SELECT w.id, 1 AS kind, w.price, v.credits, 0 AS agentic
   FROM workflows w
   JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.version
   WHERE w.workspace_id = ? AND w.id > ? AND w.archived_ms IS NULL
   ORDER BY w.id
   LIMIT ?)
  UNION ALL
  (SELECT s.id, 2 AS kind, s.price, v.credits, v.agentic
   FROM skills s
   JOIN skill_versions v ON v.skill_id = s.id AND v.version = s.version
   WHERE s.workspace_id = ? AND s.id > ? AND s.archived_ms IS NULL
   ORDER BY s.id
   LIMIT ?)
) p
WHERE a.workspace_id = ?
ORDER BY p.id
LIMIT ?
