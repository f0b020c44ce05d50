UPDATE workflows SET archived_ms = COALESCE(archived_ms, ?), updated_ms = ?
WHERE id = ? AND workspace_id = ?
