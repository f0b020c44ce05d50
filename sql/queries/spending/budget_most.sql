-- Of each scope but tags: the budgets of the target that has most.
SELECT scope, MAX(n) AS n
FROM (SELECT scope, COUNT(*) AS n FROM budgets WHERE workspace_id = ? AND scope <> 5 GROUP BY scope, target) t
GROUP BY scope
