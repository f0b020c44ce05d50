-- The full cost is refunded if and only if the execution failed or was stopped before any side effect was started. Otherwise its end
-- releases what was held and not used: each unit, up to its greatest amount, is rounded up to a micro-credit.
-- Columns as in audit_active.
SELECT e.id AS subject, CONCAT('state ', e.state, ', effects ', e.effects, ', cost ', e.cost, ', held ', e.held, ', used ', COALESCE(c.used, 0), ', refunded ', e.refunded) AS detail
FROM executions e
LEFT JOIN (
  SELECT execution_id, settled_ms,
    CAST((CAST(LEAST(input_used, input_max) AS DECIMAL(38)) * input_price + 999999) DIV 1000000
    + (CAST(LEAST(output_used, output_max) AS DECIMAL(38)) * output_price + 999999) DIV 1000000
    + (CAST(LEAST(cached_used, cached_max) AS DECIMAL(38)) * cached_price + 999999) DIV 1000000
    + (CAST(LEAST(time_used, time_max) AS DECIMAL(38)) * time_price + 999) DIV 1000
    + (CAST(LEAST(bytes_used, bytes_max) AS DECIMAL(38)) * bytes_price + 999999) DIV 1000000 AS SIGNED) AS used
  FROM execution_charges
  WHERE held > 0
) c ON e.held > 0 AND c.execution_id = e.id
WHERE e.refunded <> IF(e.state IN (4, 5) AND e.effects = 0, e.cost, IF(e.state IN (3, 4, 5), e.held - COALESCE(c.used, 0), 0))
  OR (e.held > 0 AND (c.settled_ms IS NOT NULL) <> (e.state = 3 OR (e.state IN (4, 5) AND e.effects = 1)))
