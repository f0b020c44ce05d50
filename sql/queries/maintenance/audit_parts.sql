-- A ledger row names a grant of its account, or has parts, which do and whose sum is its amount.
-- Columns as in audit_active.
SELECT l.id AS subject, CONCAT('kind ', l.kind, ', amount ', l.amount, ', grant ', COALESCE(l.grant_id, 'none'), ', parts ', COALESCE(p.total, 'none')) AS detail
FROM credit_ledger l
LEFT JOIN credit_grants g ON g.workspace_id = l.workspace_id AND g.id = l.grant_id
LEFT JOIN (
  SELECT p.workspace_id, p.ledger_id, SUM(p.amount) AS total, SUM(g.id IS NULL) AS strays
  FROM credit_parts p
  LEFT JOIN credit_grants g ON g.workspace_id = p.workspace_id AND g.id = p.grant_id
  GROUP BY p.workspace_id, p.ledger_id) p ON p.workspace_id = l.workspace_id AND p.ledger_id = l.id
WHERE IF(l.grant_id IS NULL, COALESCE(p.total, 0) <> l.amount OR COALESCE(p.strays, 0) <> 0, g.id IS NULL OR p.ledger_id IS NOT NULL)
UNION ALL
SELECT p.ledger_id, CONCAT('part of ', p.amount, ' without a ledger row') FROM credit_parts p
LEFT JOIN credit_ledger l ON l.workspace_id = p.workspace_id AND l.id = p.ledger_id
WHERE l.id IS NULL
