-- Changes rows in which nothing else has to change. An update that leaves a row as it is would not be replicated.
UPDATE accounts SET touched = touched + 1 WHERE workspace_id IN ([[?]]) ORDER BY workspace_id
