-- A page of events after `seq`, with the run's state. If none follows, the result is one row with NULL event columns.
SELECT x.state, x.last_seq, e.seq, e.type, e.at_ms, e.data
FROM executions x
LEFT JOIN events e ON e.execution_id = x.id AND e.seq > ?
WHERE x.workspace_id = ? AND x.id = ?
ORDER BY e.seq
LIMIT 100
