-- Writes the results of locked deliveries. The columns that are not updated only satisfy NOT NULL.
INSERT INTO webhook_deliveries (id, workspace_id, outbox_id, lane_id, created_ms, state, tries, due_ms, status, error, answer, tried_ms)
VALUES {{(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE state = VALUES(state), tries = VALUES(tries), due_ms = VALUES(due_ms), status = VALUES(status),
  error = VALUES(error), answer = VALUES(answer), tried_ms = VALUES(tried_ms)
