-- As ledger_numbers_lock, without waiting: no row if another transaction holds it.
SELECT last FROM ledger_numbers WHERE id = 1 FOR UPDATE SKIP LOCKED
