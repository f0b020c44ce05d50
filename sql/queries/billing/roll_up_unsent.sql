-- Whether a destination lacks rows of a workspace before an id. Reads what enters the ledger after a number, not the month.
SELECT EXISTS (SELECT 1 FROM credit_ledger FORCE INDEX (by_number) WHERE number > ? AND workspace_id = ? AND id < ?) AS is_unsent
