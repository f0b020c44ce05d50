-- Columns as in schedule_find_due.
SELECT id, workspace_id, principal_id, key_id, responder_id, kind, timing, cron, timezone, every_s, at_ms, anchor_ms, start_ms, end_ms, jitter_s, overlap,
  catch_up_s, next_ms, due_ms, waiting_ms, backfill_ms, revision, input, tags, metadata, extra, note, paused, created_ms, updated_ms,
  CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms
FROM schedules
WHERE id = ? AND workspace_id = ?
