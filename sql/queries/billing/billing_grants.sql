-- The grants of a workspace with what they are called.
SELECT g.id, CASE g.category WHEN 1 THEN 'promotional' WHEN 2 THEN 'paid' END AS category, g.note, r.reference
FROM credit_grants g
LEFT JOIN credit_references r ON r.workspace_id = g.workspace_id AND r.ledger_id = g.id
WHERE g.workspace_id = ? AND g.id IN ([[?]])
