INSERT INTO price_lists (id, workspace_id, target_hash, responder_id, model, effective_ms, ended, fixed, input_price, input_max,
  output_price, output_max, cached_price, cached_max, time_price, time_max, bytes_price, bytes_max, created_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
