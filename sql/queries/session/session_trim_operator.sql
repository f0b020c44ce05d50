-- As session_trim, for an operator.
DELETE FROM console_sessions WHERE operator_id = ? AND id NOT IN
  (SELECT id FROM (SELECT id FROM console_sessions WHERE operator_id = ? ORDER BY used_ms DESC, id DESC LIMIT 100) kept)
