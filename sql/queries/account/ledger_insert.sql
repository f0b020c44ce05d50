-- `room` is given up for the number (ledger_number.sql).
INSERT INTO credit_ledger (workspace_id, id, kind, amount, execution_id, responder_id, key_id, reason, grant_id, budgets, room)
VALUES {{(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '--------')}}
