-- Settles runs, many in one statement. The rows exist, because the runs are locked: nothing is inserted.
INSERT INTO execution_charges (execution_id, price_list_id, fixed, held, input_price, input_max, output_price, output_max,
  cached_price, cached_max, time_price, time_max, bytes_price, bytes_max, input_used, output_used, cached_used, time_used, bytes_used,
  settled_ms)
VALUES {{(?, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ?, ?, ?, ?, ?, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))}}
ON DUPLICATE KEY UPDATE input_used = VALUES(input_used), output_used = VALUES(output_used), cached_used = VALUES(cached_used),
  time_used = VALUES(time_used), bytes_used = VALUES(bytes_used), since_ms = NULL, settled_ms = VALUES(settled_ms)
