-- What a filter looks at, of runs that an index has named.
SELECT id, state, responder_id, parent_id FROM executions FORCE INDEX (PRIMARY) WHERE workspace_id = ? AND id IN ([[?]])
