-- Whoever numbers rows holds it. `is_wanted`: there is a destination to which numbered rows are sent.
SELECT last, EXISTS (SELECT 1 FROM pushes) AS is_wanted FROM ledger_numbers WHERE id = 1 FOR UPDATE
