-- The current version of a skill that is not archived: what is needed to validate a run. Without its manifest
-- if that is longer than the first parameter.
SELECT s.id, s.workspace_id, w.tenant_id, s.slug, s.version, v.label, v.hash, v.agentic, v.credits, s.price, s.created_ms, s.updated_ms,
  v.created_ms AS version_created_ms, IF(LENGTH(v.manifest) > ?, NULL, v.manifest) AS manifest, a.responders
FROM skills s
JOIN workspaces w ON w.id = s.workspace_id
JOIN accounts a ON a.workspace_id = s.workspace_id
JOIN skill_versions v ON v.skill_id = s.id AND v.version = s.version
WHERE s.workspace_id = ? AND s.slug = ? AND s.archived_ms IS NULL
