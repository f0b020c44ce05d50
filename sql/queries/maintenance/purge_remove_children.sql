-- The rows that place these runs in their trees, by primary key, which begins with the root.
DELETE c FROM executions e STRAIGHT_JOIN execution_children c ON c.root_id = e.root_id AND c.child_id = e.id
WHERE e.id IN ([[?]])
