-- Columns as in model_find.
SELECT alias, url, model, nonce, sealed, input_price, output_price, options, is_default, updated_ms FROM models WHERE workspace_id = ? ORDER BY alias
