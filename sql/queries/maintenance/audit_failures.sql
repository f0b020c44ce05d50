-- A row of execution_failures describes a failed run that was not purged.
-- Columns as in audit_active.
SELECT f.execution_id AS subject, CONCAT('state ', COALESCE(e.state, 'NULL'), ', reason ', COALESCE(e.failure_reason, 'NULL'), ', here ', f.reason) AS detail
FROM execution_failures f
LEFT JOIN executions e ON e.id = f.execution_id
WHERE e.id IS NULL OR e.state <> 4 OR e.purged_ms IS NOT NULL OR e.failure_reason <> f.reason OR e.ended_ms <> f.ended_ms
   OR e.workspace_id <> f.workspace_id OR e.responder_id <> f.responder_id OR e.kind <> f.kind
