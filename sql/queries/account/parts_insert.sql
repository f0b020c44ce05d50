INSERT INTO credit_parts (workspace_id, ledger_id, grant_id, amount) VALUES {{(?, ?, ?, ?)}}
