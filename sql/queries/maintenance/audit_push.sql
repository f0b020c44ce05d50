-- A destination's cursor is not beyond the ledger, and what is set aside is not beyond the cursor.
-- Columns as in audit_active.
SELECT p.name AS subject, CONCAT('cursor ', p.number, ', ledger ', n.last) AS detail
FROM pushes p
JOIN ledger_numbers n ON n.id = 1
WHERE p.number > n.last OR p.number < 0
UNION ALL
SELECT COALESCE(p.name, a.push_id), CONCAT('set aside ', a.first, ' to ', a.last, ', cursor ', COALESCE(p.number, 'of no destination'))
FROM pushes_aside a
LEFT JOIN pushes p ON p.id = a.push_id
WHERE p.id IS NULL OR a.first > a.last OR a.last > p.number OR a.n < 1
