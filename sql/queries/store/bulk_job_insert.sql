INSERT INTO bulk_jobs (id, workspace_id, principal_id, key_id, action, state, kinds, filter, selection, from_step, is_current, below_id, due_ms, created_ms, updated_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), ?, ?)
