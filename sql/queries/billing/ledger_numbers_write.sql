UPDATE ledger_numbers SET last = ? WHERE id = 1
