INSERT INTO ledger_rollups (workspace_id, month, state, before_id, unsent, begun_ms) VALUES {{(?, ?, ?, ?, ?, ?)}}
