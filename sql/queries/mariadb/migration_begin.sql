INSERT INTO schema_migrations (number, name, sha256) VALUES (?, ?, ?)
