-- Changes nothing, and the insert id is 1, if another `millrace migrate` has begun this migration.
INSERT INTO schema_migrations (number, name, sha256) VALUES (?, ?, ?)
ON DUPLICATE KEY UPDATE number = schema_migrations.number + 0 * LAST_INSERT_ID(1)
