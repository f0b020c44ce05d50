INSERT INTO execution_steps (execution_id, step, item, status, tries, answers, due_ms, timeout_ms, started_ms, completed_ms, result, error, reason)
VALUES {{(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE
  status = VALUES(status), tries = VALUES(tries), answers = VALUES(answers), due_ms = VALUES(due_ms), timeout_ms = VALUES(timeout_ms),
  started_ms = VALUES(started_ms), completed_ms = VALUES(completed_ms), result = VALUES(result), error = VALUES(error),
  reason = VALUES(reason)
