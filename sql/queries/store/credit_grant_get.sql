-- Columns as in credit_grants_page.
SELECT g.id, g.state, g.category, g.priority, g.amount, IF(g.id <=> a.head_grant, a.head_remaining, g.remaining) AS remaining,
  g.effective_ms, g.expires_ms, g.created_ms, g.ended_ms, g.refund_of, g.note, r.reference,
  CAST(IF(g.state = 2 AND IF(g.id <=> a.head_grant, a.head_remaining, g.remaining) = 0, 5, g.state) AS SIGNED) AS status
FROM credit_grants g
JOIN accounts a ON a.workspace_id = g.workspace_id
LEFT JOIN credit_references r ON r.workspace_id = g.workspace_id AND r.ledger_id = g.id
WHERE g.workspace_id = ? AND g.id = ?
