-- The operator's price of a skill; if it has none, that of its workspace.
SELECT COALESCE((SELECT s.price FROM skills s WHERE s.workspace_id = a.workspace_id AND s.slug = ?), a.price) AS price
FROM accounts a WHERE a.workspace_id = ?
