-- One version of a skill, archived or not; without its manifest if that is longer than the first parameter.
-- Columns as in skill_current.
SELECT s.id, s.workspace_id, w.tenant_id, s.slug, v.version, v.label, v.hash, v.agentic, v.credits, s.price, s.created_ms, s.updated_ms,
  v.created_ms AS version_created_ms, IF(LENGTH(v.manifest) > ?, NULL, v.manifest) AS manifest, 0 AS responders
FROM skills s
JOIN workspaces w ON w.id = s.workspace_id
JOIN skill_versions v ON v.skill_id = s.id AND v.version = ?
WHERE s.id = ? AND s.workspace_id = ?
