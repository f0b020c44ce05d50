UPDATE executions SET purged_ms = ?, updated_ms = ? WHERE id IN ([[?]])
