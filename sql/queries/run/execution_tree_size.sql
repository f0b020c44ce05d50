-- The number of descendants of a root; counting stops at the limit.
SELECT COUNT(*) AS n FROM (SELECT 1 FROM execution_children WHERE root_id = ? LIMIT 10000) AS t
