-- Inserts nothing if the workspace does not exist.
INSERT INTO models (workspace_id, alias, url, model, nonce, sealed, input_price, output_price, options, is_default, updated_ms)
SELECT w.id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM workspaces w WHERE w.id = ?
ON DUPLICATE KEY UPDATE url = VALUES(url), model = VALUES(model), nonce = VALUES(nonce), sealed = VALUES(sealed),
  input_price = VALUES(input_price), output_price = VALUES(output_price), options = VALUES(options),
  is_default = VALUES(is_default), updated_ms = VALUES(updated_ms)
