SELECT name, value, used FROM quotas WHERE workspace_id = ?
