-- key_hash is the hash of workspace and key. It is the primary key, so where it is right no key occurs twice in a workspace.
-- Columns as in audit_active.
SELECT workspace_id AS subject, CONCAT('key ', HEX(idempotency_key), ', execution ', COALESCE(execution_id, 'NULL')) AS detail
FROM idempotency_keys
WHERE key_hash <> UNHEX(SHA2(CONCAT(CAST(CAST(workspace_id AS CHAR) AS BINARY), idempotency_key), 256))
