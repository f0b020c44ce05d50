DELETE FROM execution_payloads WHERE execution_id IN ([[?]])
