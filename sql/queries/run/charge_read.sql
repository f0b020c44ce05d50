-- What runs have used that end, under their locks. Cached tokens are counted among the input tokens. running_ms: since an executor has it.
SELECT c.execution_id, c.held, c.input_price, c.input_max, c.output_price, c.output_max, c.cached_price, c.cached_max,
  c.time_price, c.time_max, c.bytes_price, c.bytes_max, c.time_used,
  IF(c.since_ms IS NULL, 0, GREATEST(0, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - c.since_ms)) AS running_ms,
  COALESCE(u.input_tokens, 0) AS input_tokens, COALESCE(u.output_tokens, 0) AS output_tokens,
  COALESCE(u.cached_tokens, 0) AS cached_tokens,
  CAST(COALESCE((SELECT SUM(a.size) FROM artifacts a WHERE a.execution_id = c.execution_id), 0) AS SIGNED) AS artifact_bytes
FROM execution_charges c
LEFT JOIN execution_usage u ON u.execution_id = c.execution_id
WHERE c.execution_id IN ([[?]])
