INSERT INTO schedules (id, workspace_id, principal_id, key_id, responder_id, kind, timing, cron, timezone, every_s, at_ms, anchor_ms, start_ms, end_ms,
  jitter_s, overlap, catch_up_s, paused, next_ms, due_ms, note, input, tags, metadata, extra, created_ms, updated_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
