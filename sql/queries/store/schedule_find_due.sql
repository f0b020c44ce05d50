-- The schedules of workspaces that are not frozen that are due by MariaDB's clock: workspaces in turn, longest due first.
SELECT s.id, s.workspace_id, s.principal_id, s.key_id, s.responder_id, s.kind, s.timing, s.cron, s.timezone, s.every_s, s.at_ms, s.anchor_ms, s.start_ms,
  s.end_ms, s.jitter_s, s.overlap, s.catch_up_s, s.next_ms, s.due_ms, s.waiting_ms, s.backfill_ms, s.revision, s.input, s.tags, s.metadata, s.extra, s.note, s.paused, s.created_ms,
  s.updated_ms, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms
FROM (SELECT id, due_ms, ROW_NUMBER() OVER (PARTITION BY workspace_id ORDER BY due_ms) AS turn
      FROM (SELECT id, workspace_id, due_ms FROM schedules
            WHERE due_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
              AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.workspace_id = schedules.workspace_id AND a.frozen <> 0)
            ORDER BY due_ms LIMIT 5000) AS earliest
      ORDER BY turn, due_ms
      LIMIT ?) AS due
JOIN schedules s ON s.id = due.id
ORDER BY due.turn, due.due_ms
