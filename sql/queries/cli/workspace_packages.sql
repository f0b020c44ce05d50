-- The packages of a workspace's skills.
SELECT v.hash FROM skills s JOIN skill_versions v ON v.skill_id = s.id WHERE s.workspace_id = ? GROUP BY v.hash
