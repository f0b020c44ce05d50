-- An answered ticket has its signal, whose sender it is, and is not open; a ticket has its execution. A run whose purge or removal was
-- begun loses its rows in slices. The signals that tickets have sent are collected once (DISTINCT), because signals have no index by id.
-- Columns as in audit_active.
SELECT t.execution_id AS subject,
  CONCAT('ticket ', t.id, ' for ', t.name, ', answered ', COALESCE(t.answered_ms, 'never'), ', signal ', COALESCE(s.seq, 'none')) AS detail
FROM signal_tickets t
LEFT JOIN executions e ON e.id = t.execution_id
LEFT JOIN purges p ON p.execution_id = t.execution_id
LEFT JOIN (SELECT DISTINCT g.execution_id, g.id, g.seq, g.name FROM signals g WHERE g.sender LIKE '{"kind":"ticket"%') s
  ON s.execution_id = t.execution_id AND s.id = t.signal_id
WHERE p.execution_id IS NULL AND (e.id IS NULL OR e.purged_ms IS NOT NULL OR t.workspace_id <> e.workspace_id
  OR (t.answered_ms IS NULL) <> (t.signal_id IS NULL) OR (t.answered_ms IS NOT NULL AND (s.seq IS NULL OR t.open_until_ms IS NOT NULL OR s.name <> t.name))
  OR (t.open_until_ms IS NULL AND (t.question IS NOT NULL OR t.choices IS NOT NULL)))
UNION ALL
-- A ticket is answered once.
SELECT s.execution_id, CONCAT('signals ', MIN(s.seq), ' and ', MAX(s.seq), ' are answers of one ticket')
FROM signals s
WHERE s.sender LIKE '{"kind":"ticket"%'
GROUP BY s.execution_id, JSON_VALUE(s.sender, '$.ticket_id')
HAVING COUNT(*) > 1
