-- Newest first. Each filter is a value, or NULL for any; the times are inclusive and exclusive.
SELECT d.id, d.at_ms, d.workspace_id, p.name AS workspace, d.actor_kind, d.actor, k.prefix AS key_prefix, d.origin, d.deed, d.target,
  d.detail
FROM deeds d
LEFT JOIN workspaces p ON p.id = d.workspace_id
LEFT JOIN api_keys k ON d.actor_kind = 'key' AND k.id = d.actor
WHERE (? IS NULL OR d.workspace_id = ?) AND (? IS NULL OR d.actor = ?) AND (? IS NULL OR d.deed = ?) AND (? IS NULL OR d.target = ?)
  AND d.id >= ? AND d.id < ?
ORDER BY d.id DESC
LIMIT ?
