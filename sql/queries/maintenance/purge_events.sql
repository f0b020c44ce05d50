UPDATE events SET data = NULL WHERE execution_id IN ([[?]]) AND data IS NOT NULL
