-- The rows of one slice: what follows the cursor (step, item). With the row of purges, 500 rows change.
SELECT step, item FROM execution_steps
WHERE execution_id = ? AND (step > ? OR (step = ? AND item > ?))
ORDER BY step, item
LIMIT 499
