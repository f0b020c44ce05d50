-- Workspaces after an id whose name contains a text in small letters, or that have an id. The filter is NULL for any.
SELECT w.id, w.tenant_id, w.name, w.created_ms, a.balance, a.rate_limit_per_minute, a.max_concurrent, a.active, a.price
FROM workspaces w
JOIN accounts a ON a.workspace_id = w.id
WHERE w.id > ? AND (? IS NULL OR LOCATE(LOWER(CONVERT(? USING utf8mb4)), LOWER(CONVERT(w.name USING utf8mb4))) > 0 OR w.id = ?)
ORDER BY w.id
LIMIT ?
