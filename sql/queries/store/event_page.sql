-- A page of a run's events, and how the run stands: one row with NULLs where nothing follows `seq`.
SELECT x.state, x.last_seq, e.seq, e.type, e.at_ms, e.data
FROM executions x
LEFT JOIN events e ON e.execution_id = x.id AND e.seq > ?
WHERE x.workspace_id = ? AND x.id = ?
ORDER BY e.seq
LIMIT 100
