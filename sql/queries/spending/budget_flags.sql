-- Whether the workspace has budgets, and such of tags: bits of lib/spending/budget.h.
UPDATE accounts
SET budgets = (SELECT IF(COUNT(*) = 0, 0, 1 + 2 * MAX(b.scope = 5)) FROM budgets b WHERE b.workspace_id = ?), touched = touched + 1
WHERE workspace_id = ?
