-- Destinations that something could be sent to. Not locked: push_lock looks again.
SELECT p.id
FROM pushes p
JOIN ledger_numbers n ON n.id = 1
WHERE p.paused = 0 AND p.due_ms <= UNIX_TIMESTAMP(NOW(3)) * 1000
  AND (p.number < n.last OR EXISTS (SELECT 1 FROM pushes_aside a WHERE a.push_id = p.id AND a.again = 1))
ORDER BY p.due_ms
