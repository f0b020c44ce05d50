UPDATE schema_migrations SET applied_ms = ? WHERE number = ?
