SELECT kind, responder_id, key_id, grant_id, n, amount FROM ledger_rollup_sums WHERE workspace_id = ? AND day = ?
ORDER BY kind, responder_id, key_id, grant_id
