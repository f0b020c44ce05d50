-- The oldest rows of a workspace before an id, with their parts.
SELECT l.id, l.kind, l.amount, l.responder_id, l.key_id, l.grant_id, l.budgets, p.grant_id AS part_grant_id, p.amount AS part
FROM (SELECT workspace_id, id, kind, amount, responder_id, key_id, grant_id, budgets
      FROM credit_ledger
      WHERE workspace_id = ? AND id < ?
      ORDER BY id
      LIMIT ?) l
LEFT JOIN credit_parts p ON l.grant_id IS NULL AND p.workspace_id = l.workspace_id AND p.ledger_id = l.id
ORDER BY l.id, p.grant_id
