-- No two children of one (parent, step, item, try).
SELECT parent_id, CONCAT('step ', step, ', item ', item, ', try ', try, ': ', COUNT(*), ' children')
FROM execution_children
GROUP BY parent_id, step, item, try
HAVING COUNT(*) > 1
