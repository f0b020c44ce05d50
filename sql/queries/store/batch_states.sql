-- The runs of a batch by state. Their ids are of one millisecond and stand together in the primary key (id_derive); another workspace's
-- batch of the same millisecond has another end.
SELECT state, responder_id, COUNT(*) AS runs FROM executions FORCE INDEX (PRIMARY)
WHERE id BETWEEN ? AND ? AND workspace_id = ? AND RIGHT(CAST(id AS CHAR), 16) = ?
GROUP BY state, responder_id
