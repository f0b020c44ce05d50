SELECT workspace_id, month FROM ledger_rollups WHERE state = 1 LIMIT 1
