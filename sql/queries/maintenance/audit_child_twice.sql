-- No two children of one (parent, step, item, try).
-- Columns as in audit_active.
SELECT parent_id AS subject, CONCAT('step ', step, ', item ', item, ', try ', try, ': ', COUNT(*), ' children') AS detail
FROM execution_children
GROUP BY parent_id, step, item, try
HAVING COUNT(*) > 1
