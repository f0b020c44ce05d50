-- The marks in some trees: nearly always none.
SELECT execution_id, root_id FROM stops WHERE root_id IN ([[?]])
