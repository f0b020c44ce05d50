-- The oldest rows of a workspace before an id, with their parts, except those that came after the month was begun: rows that are not in the
-- sums yet, and rows of a run that remains, whose end needs its debit.
SELECT l.id, l.kind, l.amount, l.responder_id, l.key_id, l.grant_id, l.budgets, p.grant_id AS part_grant_id, p.amount AS part
FROM (SELECT d.workspace_id, d.id, d.kind, d.amount, d.responder_id, d.key_id, d.grant_id, d.budgets
      FROM credit_ledger d FORCE INDEX (PRIMARY)
      WHERE d.workspace_id = ? AND d.id < ? AND d.number IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM executions e WHERE e.id = d.execution_id AND e.workspace_id = d.workspace_id)
      ORDER BY d.id
      LIMIT ?) l
LEFT JOIN credit_parts p ON l.grant_id IS NULL AND p.workspace_id = l.workspace_id AND p.ledger_id = l.id
ORDER BY l.id, p.grant_id
