-- The exposed skills of a workspace after a slug. Columns as in skill_current.
SELECT s.id, s.workspace_id, w.tenant_id, s.slug, s.version, v.label, v.hash, v.agentic, v.credits, s.price, s.created_ms, s.updated_ms,
  v.created_ms AS version_created_ms, v.manifest, 0 AS responders
FROM skills s
JOIN workspaces w ON w.id = s.workspace_id
JOIN skill_versions v ON v.skill_id = s.id AND v.version = s.version
WHERE s.workspace_id = ? AND s.slug > ? AND s.archived_ms IS NULL AND v.exposed = 1
ORDER BY s.slug
LIMIT ?
