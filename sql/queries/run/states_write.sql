-- Writes locked runs back, many in one statement. The rows exist, because they are locked: the columns that are not updated
-- only satisfy NOT NULL and are never inserted. Output and error are written once, when the run ends.
-- updated_ms is MariaDB's time: retention counts a run's end by it.
-- Of the room, the start takes the bytes of its two times, and the end the rest.
INSERT INTO executions (id, workspace_id, responder_id, principal_id, root_id, kind, source, version, cost,
  state, failure_reason, effects, attempt, losses, last_seq, executor_id, refunded, started_ms, ended_ms, deadline_ms,
  output, error, updated_ms)
VALUES {{(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))}}
ON DUPLICATE KEY UPDATE
  state = VALUES(state), failure_reason = VALUES(failure_reason), effects = VALUES(effects), attempt = VALUES(attempt),
  losses = VALUES(losses), last_seq = VALUES(last_seq), executor_id = VALUES(executor_id), refunded = VALUES(refunded),
  started_ms = VALUES(started_ms), ended_ms = VALUES(ended_ms), deadline_ms = VALUES(deadline_ms),
  updated_ms = VALUES(updated_ms), output = COALESCE(VALUES(output), output), error = COALESCE(VALUES(error), error),
  room = IF(VALUES(ended_ms) IS NULL, LEFT(room, 80), NULL)
