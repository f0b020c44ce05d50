DELETE FROM execution_charges WHERE execution_id IN ([[?]])
