-- Counts the descendants of a root that has no row in execution_trees yet.
SELECT COUNT(*) AS n FROM execution_children WHERE root_id = ?
