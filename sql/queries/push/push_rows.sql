-- Rows of the ledger with numbers above one and up to another, with names and parts; the limit is that of rows without their parts.
SELECT l.number, l.workspace_id, w.name AS workspace, l.id, l.kind, l.amount, l.execution_id, l.responder_id, COALESCE(f.name, s.slug) AS responder,
  l.key_id, k.prefix AS key_prefix, l.reason, r.reference, l.grant_id, p.grant_id AS part_grant_id, p.amount AS part
FROM (SELECT number, workspace_id, id, kind, amount, execution_id, responder_id, key_id, reason, grant_id
      FROM credit_ledger FORCE INDEX (by_number)
      WHERE number > ? AND number <= ?
      ORDER BY number, workspace_id, id
      LIMIT ?) l
LEFT JOIN workspaces w ON w.id = l.workspace_id
LEFT JOIN workflows f ON f.id = l.responder_id
LEFT JOIN skills s ON s.id = l.responder_id
LEFT JOIN api_keys k ON k.id = l.key_id
LEFT JOIN credit_references r ON l.kind = 1 AND r.workspace_id = l.workspace_id
  AND r.ledger_id = IF(l.amount > 0 AND l.grant_id <> '00000000-0000-7000-8000-000000000000', l.grant_id, l.id)
LEFT JOIN credit_parts p ON l.grant_id IS NULL AND p.workspace_id = l.workspace_id AND p.ledger_id = l.id
ORDER BY l.number, l.workspace_id, l.id, p.grant_id
