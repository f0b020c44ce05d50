-- What has this reference: a grant, a correction (which has no grant), or what was granted before there were grants.
SELECT r.ledger_id, COALESCE(g.amount, l.amount, r.amount) AS amount, g.category, g.priority, g.effective_ms, g.expires_ms
FROM credit_references r
LEFT JOIN credit_grants g ON g.workspace_id = r.workspace_id AND g.id = r.ledger_id
LEFT JOIN credit_ledger l ON l.workspace_id = r.workspace_id AND l.id = r.ledger_id
WHERE r.workspace_id = ? AND r.reference = ?
