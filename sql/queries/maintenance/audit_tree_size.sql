-- The size of a tree that can still grow is the number of its rows in execution_children.
-- Columns as in audit_active.
SELECT t.root_id AS subject, CONCAT('size ', t.size, ', descendants ', COUNT(c.child_id)) AS detail
FROM execution_trees t
JOIN executions e ON e.id = t.root_id AND e.state IN (1, 2)
LEFT JOIN execution_children c ON c.root_id = t.root_id
GROUP BY t.root_id, t.size
HAVING t.size <> COUNT(c.child_id)
