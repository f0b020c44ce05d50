-- The first wait for a signal of that name that has none yet.
SELECT w.step, w.item FROM signal_waits w
WHERE w.execution_id = ? AND w.name = ?
  AND NOT EXISTS (SELECT 1 FROM signals s WHERE s.execution_id = w.execution_id AND s.state = 1 AND s.step = w.step AND s.item = w.item)
ORDER BY w.step, w.item LIMIT 1
