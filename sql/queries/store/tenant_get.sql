SELECT id FROM tenants WHERE id = ?
