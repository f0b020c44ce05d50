INSERT INTO credit_references (workspace_id, reference, ledger_id) VALUES (?, ?, ?)
