-- The numbers of descendants of roots. Trees that have no row yet are left out.
SELECT root_id, size FROM execution_trees WHERE root_id IN ([[?]])
