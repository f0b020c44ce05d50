-- A wait ends: the tickets for its signal are good no longer, unless another wait goes on for the same signal. Reads and locks the open
-- tickets for this signal only.
UPDATE signal_tickets FORCE INDEX (by_execution)
SET open_until_ms = NULL, question = NULL, choices = NULL
WHERE execution_id = ? AND name = (SELECT w.name FROM signal_waits w WHERE w.execution_id = ? AND w.step = ? AND w.item = ?)
  AND open_until_ms IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM signal_waits w JOIN signal_waits o ON o.execution_id = w.execution_id AND o.name = w.name
    WHERE w.execution_id = ? AND w.step = ? AND w.item = ? AND (o.step <> w.step OR o.item <> w.item))
