-- Which of these secrets the workspace has. The API may read no other columns.
SELECT name FROM secrets WHERE workspace_id = ? AND name IN ([[?]])
