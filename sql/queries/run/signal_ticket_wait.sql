-- The first wait for a signal of that name that has none yet; where all of them have one, one of these.
SELECT w.step, w.message, w.due_ms,
  EXISTS (SELECT 1 FROM signals s WHERE s.execution_id = w.execution_id AND s.state = 1 AND s.step = w.step AND s.item = w.item) AS is_given
FROM signal_waits w
WHERE w.execution_id = ? AND w.name = ?
ORDER BY is_given, w.step, w.item LIMIT 1
