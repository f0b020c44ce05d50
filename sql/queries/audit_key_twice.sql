-- One row a workspace and key.
SELECT workspace_id, CONCAT(COUNT(*), ' rows of key ', HEX(idempotency_key))
FROM idempotency_keys
GROUP BY workspace_id, idempotency_key
HAVING COUNT(*) > 1
