UPDATE executions SET has_children = 1 WHERE id IN ([[?]])
