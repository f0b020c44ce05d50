-- The debits of a workspace that count in budgets. A debit has the id of its execution.
SELECT id, budgets FROM credit_ledger WHERE workspace_id = ? AND id IN ([[?]]) AND budgets IS NOT NULL
