-- A workspace's ledger with names, newest first. Filters: a kind, or NULL for any; ids from and before two bounds.
SELECT l.id, l.kind, l.amount, COALESCE(f.name, s.slug) AS responder, k.prefix AS key_prefix, l.reason, r.reference, l.execution_id,
  l.responder_id, l.key_id, l.grant_id
FROM credit_ledger l
LEFT JOIN workflows f ON f.id = l.responder_id
LEFT JOIN skills s ON s.id = l.responder_id
LEFT JOIN api_keys k ON k.id = l.key_id
LEFT JOIN credit_references r ON l.kind = 1 AND r.workspace_id = l.workspace_id
  AND r.ledger_id = IF(l.amount > 0 AND l.grant_id <> '00000000-0000-7000-8000-000000000000', l.grant_id, l.id)
WHERE l.workspace_id = ? AND l.id >= ? AND l.id < ? AND (? IS NULL OR l.kind = ?)
ORDER BY l.id DESC
LIMIT ?
