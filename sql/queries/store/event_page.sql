-- A page of events after `seq`, with the run's state. If none follows, the result is one row with NULL event columns. A large
-- run is purged in slices: what they have not reached yet is not shown either.
SELECT x.state, x.last_seq, e.seq, e.type, e.at_ms, IF(x.purged_ms IS NULL, e.data, NULL) AS data
FROM executions x
LEFT JOIN events e ON e.execution_id = x.id AND e.seq > ?
WHERE x.workspace_id = ? AND x.id = ?
ORDER BY e.seq
LIMIT 100
