-- Whoever numbers rows holds it.
SELECT last FROM ledger_numbers WHERE id = 1 FOR UPDATE
