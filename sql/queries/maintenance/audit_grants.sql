-- What the grants have left is the balance. The head grant is an active one, and no start or expiry is later than next_change_ms
-- says. An early next_change_ms is right: the head grant may be used up.
-- Columns as in audit_active.
SELECT a.workspace_id AS subject,
  CONCAT('balance ', a.balance, ', grants ', COALESCE(g.total, 0), ', head grant ', COALESCE(a.head_grant, 'none'), ' with ', a.head_remaining,
         ', next change ', COALESCE(a.next_change_ms, 'none'), ' instead of ', COALESCE(g.next_ms, 'none')) AS detail
FROM accounts a
LEFT JOIN (
  SELECT g.workspace_id, SUM(IF(g.state = 2, IF(g.id <=> b.head_grant, b.head_remaining, g.remaining), 0)) AS total,
    MIN(CASE WHEN g.state = 1 THEN g.effective_ms
             WHEN g.state = 2 AND IF(g.id <=> b.head_grant, b.head_remaining, g.remaining) > 0 THEN g.expires_ms END) AS next_ms,
    MAX(g.state = 2 AND g.id <=> b.head_grant) AS has_head
  FROM credit_grants g
  JOIN accounts b ON b.workspace_id = g.workspace_id
  GROUP BY g.workspace_id) g ON g.workspace_id = a.workspace_id
WHERE a.balance <> COALESCE(g.total, 0) OR COALESCE(a.next_change_ms, 9223372036854775807) > COALESCE(g.next_ms, 9223372036854775807)
  OR (a.head_grant IS NULL AND (a.head_remaining <> 0 OR a.balance <> 0))
  OR (a.head_grant IS NOT NULL AND NOT COALESCE(g.has_head, 0))
