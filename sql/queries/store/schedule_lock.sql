SELECT waiting_ms, backfill_ms, backfill_end_ms, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms FROM schedules WHERE id = ? AND workspace_id = ? FOR UPDATE
