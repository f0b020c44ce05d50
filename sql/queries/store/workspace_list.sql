-- All workspaces, or one.
SELECT w.id, w.tenant_id, w.name, w.created_ms, a.balance, a.rate_limit_per_minute, a.max_concurrent, a.active, a.price, a.timezone,
  a.frozen, r.keep_payload_days, r.keep_rows_days
FROM workspaces w
JOIN accounts a ON a.workspace_id = w.id
LEFT JOIN retention r ON r.workspace_id = w.id
WHERE ? IS NULL OR w.id = ?
ORDER BY w.id
