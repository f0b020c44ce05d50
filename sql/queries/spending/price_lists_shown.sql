-- The price lists of a workspace: those in force and coming ones, or, if the third placeholder is 1, all.
-- Columns as in price_lists_in_force, and whether the list is in force.
SELECT p.id, p.workspace_id, p.target_hash, p.responder_id, p.model, p.effective_ms, p.created_ms, p.ended, p.fixed,
  p.input_price, p.input_max, p.output_price, p.output_max, p.cached_price, p.cached_max, p.time_price, p.time_max,
  p.bytes_price, p.bytes_max, c.effective_ms IS NOT NULL AS in_force
FROM price_lists p
LEFT JOIN (
  SELECT target_hash, MAX(effective_ms) AS effective_ms
  FROM price_lists
  WHERE workspace_id = ? AND effective_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
  GROUP BY target_hash
) c ON c.target_hash = p.target_hash AND c.effective_ms = p.effective_ms
WHERE p.workspace_id = ? AND (? OR c.effective_ms IS NOT NULL OR p.effective_ms > CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))
ORDER BY p.responder_id, p.model, p.effective_ms
