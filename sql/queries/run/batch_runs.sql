-- The runs of a batch's items, from one id to another; columns as in execution_find_ids. The ids of one batch have the same end (id_derive): one
-- range costs a fraction of a look for each id.
SELECT id FROM executions FORCE INDEX (PRIMARY) WHERE id BETWEEN ? AND ? AND RIGHT(CAST(id AS CHAR), 16) = ?
