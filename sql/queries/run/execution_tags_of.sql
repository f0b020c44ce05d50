SELECT execution_id, tag FROM execution_tags WHERE execution_id IN ([[?]])
