-- key_hash is the hash of workspace and key. It is the primary key, so where it is right no key occurs twice in a workspace.
SELECT workspace_id, CONCAT('key ', HEX(idempotency_key), ', execution ', COALESCE(execution_id, 'NULL'))
FROM idempotency_keys
WHERE key_hash <> UNHEX(SHA2(CONCAT(CAST(CAST(workspace_id AS CHAR) AS BINARY), idempotency_key), 256))
