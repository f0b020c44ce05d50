INSERT INTO tenants (id, name, created_ms) VALUES (?, ?, ?)
