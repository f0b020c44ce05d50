-- Reads the executions once for the checks debit, refund, refund_due, charge, terminal, result, child_stray, occurrence_missing and
-- webhook_message. `detail` names those that an execution may violate; then their own queries tell which do.
-- Joins and subqueries without their row are not read: a join by IF(…, NULL) has no row, and a subquery is looked at after what stands before it.
-- A missing debit hides a stray one from audit_prove_ledger, which only counts them; so debit_stray is named with debit.
-- A root with a row in execution_children is found by child_wrong.
-- Columns as in audit_active.
SELECT e.id AS subject, CONCAT_WS(',',
  IF(l.id IS NULL OR l.kind <> 2 OR l.amount <> -e.cost OR NOT l.execution_id <=> e.id, 'debit,debit_stray', NULL),
  IF(COALESCE(r.n, 0) > 1 OR COALESCE(r.total, 0) <> e.refunded OR e.refunded < 0 OR e.refunded > e.cost OR COALESCE(r.released, 0) > e.held, 'refund', NULL),
  IF(e.refunded <> IF(e.state IN (4, 5) AND e.effects = 0, e.cost, IF(e.state NOT IN (3, 4, 5), 0, IF(e.held <= 0, e.held, e.held - IF(COALESCE(c.held, 0) <= 0, 0, CAST(
      (CAST(LEAST(c.input_used, c.input_max) AS DECIMAL(38)) * c.input_price + 999999) DIV 1000000
      + (CAST(LEAST(c.output_used, c.output_max) AS DECIMAL(38)) * c.output_price + 999999) DIV 1000000
      + (CAST(LEAST(c.cached_used, c.cached_max) AS DECIMAL(38)) * c.cached_price + 999999) DIV 1000000
      + (CAST(LEAST(c.time_used, c.time_max) AS DECIMAL(38)) * c.time_price + 999) DIV 1000
      + (CAST(LEAST(c.bytes_used, c.bytes_max) AS DECIMAL(38)) * c.bytes_price + 999999) DIV 1000000 AS SIGNED))))),
    'refund_due', NULL),
  IF(e.held > 0 AND (c.held > 0 AND c.settled_ms IS NOT NULL) <> (e.state = 3 OR (e.state IN (4, 5) AND e.effects = 1)), 'refund_due', NULL),
  IF(e.held <> 0 AND c.execution_id IS NULL, 'charge', NULL),
  IF((e.state IN (3, 4, 5)) <> (e.ended_ms IS NOT NULL) OR (e.state IN (4, 5)) <> (e.failure_reason <> 0)
    OR (e.state = 1 AND e.executor_id NOT IN (0, 9223372036854775807)) OR (e.state = 2 AND e.started_ms IS NULL) OR e.state NOT IN (1, 2, 3, 4, 5), 'terminal', NULL),
  IF(e.state = 3 AND e.purged_ms IS NULL AND e.output IS NULL, 'result', NULL),
  IF(IF(e.parent_id IS NULL, e.root_id <> e.id, NOT EXISTS (SELECT 1 FROM execution_children k WHERE k.root_id = e.root_id AND k.child_id = e.id)), 'child_stray', NULL),
  IF(e.kind = 1 AND e.extra LIKE '{"scheduled_for":%' AND e.retry_of IS NULL
    AND NOT EXISTS (SELECT 1 FROM schedule_occurrences o WHERE o.execution_id = e.id), 'occurrence_missing', NULL),
  IF(e.webhook_url IS NOT NULL AND e.state IN (3, 4, 5) AND e.purged_ms IS NULL AND (e.webhook_events >> (e.state - 1)) & 1 = 1
    AND e.ended_ms > CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - 23 * 3600 * 1000
    AND NOT EXISTS (SELECT 1 FROM webhook_outbox w WHERE w.execution_id = e.id AND w.event = e.state - 1), 'webhook_message', NULL)) AS detail
FROM executions e FORCE INDEX (PRIMARY)
LEFT JOIN credit_ledger l ON l.workspace_id = e.workspace_id AND l.id = e.id
LEFT JOIN execution_charges c ON c.execution_id = IF(e.held <> 0, e.id, NULL)
LEFT JOIN (
  SELECT workspace_id, execution_id, COUNT(*) AS n, SUM(amount) AS total, SUM(IF(kind = 6, amount, 0)) AS released
  FROM credit_ledger WHERE kind IN (3, 6) GROUP BY workspace_id, execution_id
) r ON r.execution_id = e.id AND r.workspace_id = e.workspace_id
HAVING detail <> ''
UNION ALL
SELECT c.execution_id, 'charge'
FROM execution_charges c
LEFT JOIN executions e ON e.id = c.execution_id
WHERE e.id IS NULL OR c.fixed + c.held <> e.cost OR c.held <> e.held OR c.fixed < 0 OR c.held < 0
UNION ALL
SELECT a.workspace_id, 'charge'
FROM accounts a
LEFT JOIN (SELECT workspace_id, 1 + 2 * MAX(model IS NOT NULL) + 4 * MAX(input_max + output_max + cached_max + time_max + bytes_max > 0) AS flags
           FROM price_lists GROUP BY workspace_id) p ON p.workspace_id = a.workspace_id
WHERE a.prices <> COALESCE(p.flags, 0)
