-- Whether a destination lacks rows of a workspace before an id. Reads what enters the ledger after a number, and what has none (LEDGER_NO_NUMBER in
-- lib/account/ledger.h), not the month.
SELECT EXISTS (SELECT 1 FROM credit_ledger FORCE INDEX (by_number) WHERE number > ? AND workspace_id = ? AND id < ?)
  OR EXISTS (SELECT 1 FROM credit_ledger FORCE INDEX (by_number) WHERE number = -9223372036854775808 AND workspace_id = ? AND id < ?) AS is_unsent
