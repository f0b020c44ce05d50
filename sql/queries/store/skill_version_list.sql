-- All versions of the skills of a workspace, or of one skill if its id is given, newest first.
SELECT v.skill_id, v.version, v.label, v.hash, v.created_ms
FROM skills s
JOIN skill_versions v ON v.skill_id = s.id
WHERE s.workspace_id = ? AND (? IS NULL OR s.id = ?)
ORDER BY v.skill_id, v.version DESC
