INSERT INTO execution_charges (execution_id, price_list_id, fixed, held, input_price, input_max, output_price, output_max,
  cached_price, cached_max, time_price, time_max, bytes_price, bytes_max)
VALUES {{(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)}}
