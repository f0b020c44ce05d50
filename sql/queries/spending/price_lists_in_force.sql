-- The lists of these targets that are in force. A target's rows are its history, which the key orders by time.
SELECT p.id, p.workspace_id, p.target_hash, p.responder_id, p.model, p.effective_ms, p.created_ms, p.ended, p.fixed,
  p.input_price, p.input_max, p.output_price, p.output_max, p.cached_price, p.cached_max, p.time_price, p.time_max,
  p.bytes_price, p.bytes_max
FROM price_lists p
WHERE p.target_hash IN ([[?]])
  AND p.effective_ms = (SELECT MAX(q.effective_ms) FROM price_lists q
                        WHERE q.target_hash = p.target_hash AND q.effective_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))
