UPDATE executions
SET input = NULL, tags = NULL, metadata = NULL, extra = NULL, output = NULL, error = NULL, purged_ms = ?, updated_ms = ?
WHERE id IN ([[?]])
