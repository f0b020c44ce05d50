-- The schedules with a backfill (origin 3) none of whose runs is queued or running (states 1 and 2).
-- Columns as in schedule_find_due.
SELECT id, workspace_id, principal_id, key_id, responder_id, kind, timing, cron, timezone, every_s, at_ms, anchor_ms, start_ms, end_ms, jitter_s, overlap,
  catch_up_s, next_ms, due_ms, waiting_ms, backfill_ms, revision, input, tags, metadata, extra, note, paused, created_ms, updated_ms,
  CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms
FROM schedules s
WHERE backfill_ms IS NOT NULL AND paused = 0
  AND NOT EXISTS (SELECT 1 FROM schedule_occurrences o JOIN executions e ON e.id = o.execution_id
                  WHERE o.schedule_id = s.id AND o.is_open = 1 AND o.origin = 3 AND e.state IN (1, 2))
ORDER BY backfill_ms
LIMIT ?
