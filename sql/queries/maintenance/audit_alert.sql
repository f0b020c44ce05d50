-- What was told of a balance is what the balance says; an account knows its lines.
-- Columns as in audit_active.
SELECT a.workspace_id AS subject, CONCAT('alert ', c.kind, ' of ', c.value, ': balance ', a.balance, ', line ', COALESCE(c.line, 'none'), ', told ', c.told) AS detail
FROM credit_alerts c
JOIN accounts a ON a.workspace_id = c.workspace_id
WHERE (c.kind IN (1, 2) AND c.told <> COALESCE(a.balance <= c.line, 0))
   OR (c.kind = 1 AND NOT c.line <=> c.value)
   OR (c.kind = 2 AND NOT c.line <=> a.top_up DIV 100 * c.value + (a.top_up MOD 100) * c.value DIV 100)
UNION ALL
SELECT a.workspace_id, CONCAT('alerts ', a.alerts, ', lines ', a.alert_below, ' and ', a.alert_above, '; rows ', COALESCE(c.flags, 0), ', ', COALESCE(c.below, -1), ' and ', COALESCE(c.above, 'none'))
FROM accounts a
LEFT JOIN (
  SELECT workspace_id, BIT_OR(IF(kind = 3, 2, 1)) AS flags, MAX(IF(kind < 3 AND NOT told, line, NULL)) AS below, MIN(IF(kind < 3 AND told, line, NULL)) AS above
  FROM credit_alerts GROUP BY workspace_id
) c ON c.workspace_id = a.workspace_id
WHERE a.alerts <> COALESCE(c.flags, 0) OR a.alert_below <> COALESCE(c.below, -1) OR a.alert_above <> COALESCE(c.above, 9223372036854775807)
   OR (a.alerts & 2 = 0) <> (a.spent_until_ms = 0)
UNION ALL
SELECT c.workspace_id, 'an alert without its account'
FROM credit_alerts c
LEFT JOIN accounts a ON a.workspace_id = c.workspace_id
WHERE a.workspace_id IS NULL
