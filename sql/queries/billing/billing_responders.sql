-- Names of workflows and skills.
SELECT id, name FROM workflows WHERE id IN ([[?]])
