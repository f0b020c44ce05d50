-- A run that a price list has priced: its two parts are its debit, and what is held is known to its row. An account knows whether it
-- has price lists.
-- Columns as in audit_active.
SELECT c.execution_id AS subject, CONCAT('fixed ', c.fixed, ', held ', c.held, ', cost ', COALESCE(e.cost, 'missing'), ', held in the row ', COALESCE(e.held, 'missing')) AS detail
FROM execution_charges c
LEFT JOIN executions e ON e.id = c.execution_id
WHERE e.id IS NULL OR c.fixed + c.held <> e.cost OR c.held <> e.held OR c.fixed < 0 OR c.held < 0
UNION ALL
SELECT e.id, CONCAT('held ', e.held, ' without a charge')
FROM executions e
LEFT JOIN execution_charges c ON c.execution_id = e.id
WHERE e.held <> 0 AND c.execution_id IS NULL
UNION ALL
SELECT a.workspace_id, CONCAT('prices ', a.prices, ', rows ', COALESCE(p.flags, 0))
FROM accounts a
LEFT JOIN (SELECT workspace_id, 1 + 2 * MAX(model IS NOT NULL) + 4 * MAX(input_max + output_max + cached_max + time_max + bytes_max > 0) AS flags FROM price_lists GROUP BY workspace_id) p ON p.workspace_id = a.workspace_id
WHERE a.prices <> COALESCE(p.flags, 0)
