-- Some rows of the ledger without a number, by workspace. Which of them come first, does not matter.
SELECT l.workspace_id, l.id
FROM (SELECT workspace_id, id FROM credit_ledger FORCE INDEX (by_number) WHERE number = ? LIMIT ?) l
ORDER BY l.workspace_id, l.id
