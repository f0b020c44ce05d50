-- The sizes of the trees of which these runs are the roots.
DELETE t FROM executions e STRAIGHT_JOIN execution_trees t ON t.root_id = e.id
WHERE e.id IN ([[?]])
