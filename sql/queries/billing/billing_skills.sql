SELECT id, slug FROM skills WHERE id IN ([[?]])
