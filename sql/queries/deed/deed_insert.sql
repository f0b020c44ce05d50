INSERT INTO deeds (id, at_ms, workspace_id, actor_kind, actor, origin, deed, target, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
