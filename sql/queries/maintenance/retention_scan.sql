-- The oldest runs after a cursor that were accepted before a given moment, except those whose ids tell another time (see
-- retention_misdated): retention finds them among the skipped ones. A join, because a subquery would be computed for all rows.
SELECT e.id, e.state, e.updated_ms, e.purged_ms, s.accepted_ms
FROM executions e FORCE INDEX (by_workspace)
LEFT JOIN retention_skipped s ON s.workspace_id = e.workspace_id AND s.removes = ? AND s.execution_id = e.id AND s.accepted_ms IS NOT NULL
WHERE e.workspace_id = ? AND e.id > ? AND e.id < ? AND s.execution_id IS NULL
ORDER BY e.id
LIMIT 64
