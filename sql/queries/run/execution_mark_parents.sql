-- Runs that get children, and as many events of their starts each.
UPDATE executions
SET has_children = 1, last_seq = last_seq + ?, updated_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
WHERE id IN ([[?]])
