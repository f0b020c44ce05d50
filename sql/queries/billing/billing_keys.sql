SELECT id, prefix FROM api_keys WHERE id IN ([[?]])
