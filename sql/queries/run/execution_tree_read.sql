-- The numbers of descendants of roots, and which of these trees have marks in `stops`. Trees that have no row yet are left out.
SELECT t.root_id, t.size, EXISTS (SELECT 1 FROM stops s WHERE s.root_id = t.root_id) AS is_marked
FROM execution_trees t
WHERE t.root_id IN ([[?]])
