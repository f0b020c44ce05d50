-- A row is found by its hash, and what it started is there.
SELECT k.workspace_id, CONCAT('key ', HEX(k.idempotency_key), ', execution ', COALESCE(k.execution_id, 'NULL'))
FROM idempotency_keys k
LEFT JOIN executions e ON e.id = k.execution_id AND e.workspace_id = k.workspace_id
WHERE (k.execution_id IS NOT NULL AND e.id IS NULL)
   OR k.key_hash <> UNHEX(SHA2(CONCAT(CAST(CAST(k.workspace_id AS CHAR) AS BINARY), k.idempotency_key), 256))
