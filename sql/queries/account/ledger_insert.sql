INSERT INTO credit_ledger (workspace_id, id, kind, amount, execution_id, responder_id, key_id, reason, grant_id, budgets, number)
VALUES {{(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)}}
