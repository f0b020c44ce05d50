-- The alerts of a workspace, beside what its account knows; one row without an alert if it has none.
SELECT a.balance, a.top_up, a.spent, a.spent_until_ms, a.timezone, c.kind, c.value, c.at_least, c.line, c.usual, c.since_ms, c.told
FROM accounts a
LEFT JOIN credit_alerts c ON c.workspace_id = a.workspace_id
WHERE a.workspace_id = ?
ORDER BY c.kind, c.value
