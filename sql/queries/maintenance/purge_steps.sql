UPDATE execution_steps SET result = NULL, error = NULL
WHERE execution_id IN ([[?]]) AND (result IS NOT NULL OR error IS NOT NULL)
