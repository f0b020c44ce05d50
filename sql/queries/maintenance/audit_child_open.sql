-- A run that has ended has no child that is queued or running, except in a tree that is being stopped in slices.
-- Columns as in audit_active.
SELECT c.id AS subject, CONCAT('state ', c.state, ' below ', p.id, ' of state ', p.state) AS detail
FROM executions c
JOIN executions p ON p.id = c.parent_id
WHERE c.state IN (1, 2) AND p.state IN (3, 4, 5) AND NOT EXISTS (SELECT 1 FROM stops s WHERE s.root_id = c.root_id)
