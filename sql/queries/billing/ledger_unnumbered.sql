-- Some rows of the ledger without a number, by workspace and id: those of older programs (NULL), which are not in the sums, with their parts, and
-- those of one more value. Which of them come first, does not matter.
SELECT l.number, l.workspace_id, l.id, l.kind, l.amount, l.responder_id, l.key_id, l.grant_id, a.timezone, p.grant_id AS part_grant_id, p.amount AS part
FROM (SELECT number, workspace_id, id, kind, amount, responder_id, key_id, grant_id
      FROM credit_ledger FORCE INDEX (by_number)
      WHERE number IS NULL OR number = ?
      LIMIT ?) l
LEFT JOIN accounts a ON l.number IS NULL AND a.workspace_id = l.workspace_id
LEFT JOIN credit_parts p ON l.number IS NULL AND l.grant_id IS NULL AND p.workspace_id = l.workspace_id AND p.ledger_id = l.id
ORDER BY l.workspace_id, l.id, p.grant_id
