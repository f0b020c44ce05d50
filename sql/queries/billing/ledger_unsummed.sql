-- Up to 200 rows of workspaces that are not in the sums, with their parts.
SELECT l.workspace_id, l.id, l.kind, l.amount, l.responder_id, l.key_id, l.grant_id, p.grant_id AS part_grant_id, p.amount AS part
FROM (SELECT workspace_id, id, kind, amount, responder_id, key_id, grant_id
      FROM credit_ledger FORCE INDEX (by_number)
      WHERE number IS NULL AND workspace_id IN ([[?]])
      LIMIT 200) l
LEFT JOIN credit_parts p ON l.grant_id IS NULL AND p.workspace_id = l.workspace_id AND p.ledger_id = l.id
ORDER BY l.workspace_id, l.id, p.grant_id
