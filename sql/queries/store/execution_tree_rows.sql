-- All descendants of a root with what each cost: one range of the primary key, oldest first.
SELECT c.child_id, c.parent_id, e.cost - e.refunded AS net_cost
FROM execution_children c
JOIN executions e ON e.id = c.child_id
WHERE c.root_id = ?
ORDER BY c.child_id
LIMIT 10000
