-- Includes archived workflows, because their executions are still shown with the name.
SELECT id, name FROM workflows WHERE id IN ([[?]])
