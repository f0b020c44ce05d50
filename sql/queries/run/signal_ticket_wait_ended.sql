-- A wait ends: the tickets for its signal are good no longer, unless another wait goes on for the same signal.
UPDATE signal_waits w
JOIN signal_tickets t ON t.execution_id = w.execution_id AND t.name = w.name AND t.open_until_ms IS NOT NULL
SET t.open_until_ms = NULL
WHERE w.execution_id = ? AND w.step = ? AND w.item = ?
  AND NOT EXISTS (SELECT 1 FROM signal_waits o WHERE o.execution_id = w.execution_id AND o.name = w.name AND (o.step, o.item) <> (w.step, w.item))
