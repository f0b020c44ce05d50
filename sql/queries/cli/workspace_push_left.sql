-- How many rows of a workspace a destination of the usage push has not got yet, or has set aside.
SELECT COUNT(*) AS n
FROM credit_ledger FORCE INDEX (by_number)
WHERE number > (SELECT MIN(LEAST(p.number, COALESCE((SELECT MIN(s.first) - 1 FROM pushes_aside s WHERE s.push_id = p.id), p.number))) FROM pushes p)
  AND workspace_id = ?
