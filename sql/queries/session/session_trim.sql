-- All sessions of a key but its most recently used ones.
DELETE FROM console_sessions WHERE key_id = ? AND id NOT IN
  (SELECT id FROM (SELECT id FROM console_sessions WHERE key_id = ? ORDER BY used_ms DESC, id DESC LIMIT 100) kept)
