SELECT state, before_id, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms FROM ledger_rollups WHERE workspace_id = ? AND month = ? FOR UPDATE SKIP LOCKED
