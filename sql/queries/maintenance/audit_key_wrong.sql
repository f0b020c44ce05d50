-- A row is found by the hash of its workspace and key. The hash is the primary key: where it is right, no key of a
-- workspace stands twice.
SELECT workspace_id, CONCAT('key ', HEX(idempotency_key), ', execution ', COALESCE(execution_id, 'NULL'))
FROM idempotency_keys
WHERE key_hash <> UNHEX(SHA2(CONCAT(CAST(CAST(workspace_id AS CHAR) AS BINARY), idempotency_key), 256))
