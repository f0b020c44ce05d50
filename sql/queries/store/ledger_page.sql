-- parts: the grants of a row that concerns several, as "GRANT AMOUNT,GRANT AMOUNT".
SELECT id, kind, amount, execution_id, responder_id, key_id, reason, grant_id,
  (SELECT GROUP_CONCAT(p.grant_id, ' ', p.amount ORDER BY p.grant_id) FROM credit_parts p
   WHERE l.grant_id IS NULL AND p.workspace_id = l.workspace_id AND p.ledger_id = l.id) AS parts
FROM credit_ledger l
WHERE workspace_id = ? AND id < ?
ORDER BY id DESC
LIMIT ?
