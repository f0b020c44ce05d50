-- A refund in the current period. Assignments run from left to right: `told` keeps the levels that the lowered counter still has.
UPDATE budgets
SET used = used - ?,
  told = told & (IF(soft_percent IS NOT NULL AND used * 100 >= amount * soft_percent, 1, 0) | IF(used >= amount, 2, 0))
WHERE id = ? AND start_ms = ?
