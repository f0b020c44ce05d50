SELECT number, name, sha256, applied_ms FROM schema_migrations ORDER BY number
