UPDATE ledger_rollups SET state = 2, ended_ms = ?, checksum = ? WHERE workspace_id = ? AND month = ?
