-- Open tickets of a workspace whose runs have ended.
SELECT t.hash FROM signal_tickets t FORCE INDEX (open)
LEFT JOIN executions x ON x.id = t.execution_id
WHERE t.workspace_id = ? AND t.open_until_ms > ? AND (x.id IS NULL OR x.ended_ms IS NOT NULL)
LIMIT 500
