-- What must have ended before a workspace can be moved. `ledger`: rows that are not in the sums yet, and those that a destination
-- of the usage push needs and that have no number (LEDGER_NO_NUMBER in lib/account/ledger.h).
SELECT (SELECT COUNT(*) FROM executions WHERE workspace_id = ? AND state IN (1, 2)) AS executions,
  (SELECT COUNT(*) FROM stops WHERE workspace_id = ?) AS stops,
  (SELECT COUNT(*) FROM purges p JOIN executions x ON x.id = p.execution_id WHERE x.workspace_id = ?) AS purges,
  (SELECT COUNT(*) FROM bulk_jobs WHERE workspace_id = ? AND ended_ms IS NULL) AS bulk_jobs,
  (SELECT COUNT(*) FROM webhook_outbox WHERE workspace_id = ? AND fanned = 0) AS messages,
  (SELECT COUNT(*) FROM webhook_deliveries WHERE workspace_id = ? AND state = 1) AS deliveries,
  (SELECT COUNT(*) FROM webhook_lanes WHERE workspace_id = ? AND busy <> 0) AS sends,
  (SELECT COUNT(*) FROM schedules WHERE workspace_id = ? AND (waiting_ms IS NOT NULL OR backfill_ms IS NOT NULL)) AS occurrences,
  (SELECT COUNT(*) FROM credit_ledger WHERE workspace_id = ? AND (number IS NULL OR number = -9223372036854775808 AND EXISTS (SELECT 1 FROM pushes))) AS ledger
