-- The sums of a workspace from a day on, before another one, in the order of the primary key.
SELECT day, kind, responder_id, key_id, grant_id, n, amount FROM ledger_rollup_sums WHERE workspace_id = ? AND day >= ? AND day < ?
ORDER BY day, kind, responder_id, key_id, grant_id
LIMIT ?
