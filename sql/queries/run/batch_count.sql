-- How many items of a batch have a run. The ids of one batch have the same end (id_derive).
SELECT COUNT(*) AS runs FROM executions WHERE id BETWEEN ? AND ? AND RIGHT(CAST(id AS CHAR), 16) = ?
