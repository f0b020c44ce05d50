INSERT INTO execution_failures (workspace_id, execution_id, responder_id, kind, reason, step, hash, ended_ms)
VALUES {{(?, ?, ?, ?, ?, ?, ?, ?)}}
