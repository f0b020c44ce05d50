UPDATE execution_steps SET result = NULL, error = NULL
WHERE execution_id = ? AND (step > ? OR (step = ? AND item > ?)) AND (step < ? OR (step = ? AND item <= ?))
  AND (result IS NOT NULL OR error IS NOT NULL)
