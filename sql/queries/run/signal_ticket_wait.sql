-- The first wait for a signal of that name that has none yet; where all of them have one, one of these. The signals that were given are
-- read once, and not for each wait.
SELECT w.step, w.message, w.due_ms, s.step IS NOT NULL AS is_given
FROM signal_waits w
LEFT JOIN (SELECT DISTINCT g.step, g.item FROM signals g WHERE g.execution_id = ? AND g.state = 1) s ON s.step = w.step AND s.item = w.item
WHERE w.execution_id = ? AND w.name = ?
ORDER BY is_given, w.step, w.item LIMIT 1
