-- Also of those that are archived: what they ran is still told by their name.
SELECT id, name FROM workflows WHERE id IN ([[?]])
