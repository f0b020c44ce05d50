SELECT id, kind, amount, execution_id, responder_id, key_id, reason
FROM credit_ledger
WHERE workspace_id = ? AND id < ?
ORDER BY id DESC
LIMIT ?
