-- The schedules with an occurrence that waits while no run of theirs is queued or running (states 1 and 2): workspaces in turn.
-- Columns as in schedule_find_due.
SELECT s.id, s.workspace_id, s.principal_id, s.key_id, s.responder_id, s.kind, s.timing, s.cron, s.timezone, s.every_s, s.at_ms, s.anchor_ms, s.start_ms,
  s.end_ms, s.jitter_s, s.overlap, s.catch_up_s, s.next_ms, s.due_ms, s.waiting_ms, s.backfill_ms, s.revision, s.input, s.tags, s.metadata, s.extra, s.note, s.paused, s.created_ms,
  s.updated_ms, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms
FROM (SELECT id, waiting_ms, ROW_NUMBER() OVER (PARTITION BY workspace_id ORDER BY waiting_ms) AS turn
      FROM schedules w
      WHERE waiting_ms IS NOT NULL AND paused = 0
        AND NOT EXISTS (SELECT 1 FROM schedule_occurrences o JOIN executions e ON e.id = o.execution_id
                        WHERE o.schedule_id = w.id AND o.is_open = 1 AND o.origin <> 3 AND e.state IN (1, 2))
      ORDER BY turn, waiting_ms
      LIMIT ?) AS due
JOIN schedules s ON s.id = due.id
ORDER BY due.turn, due.waiting_ms
