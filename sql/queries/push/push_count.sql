SELECT COUNT(*) AS n, (SELECT last FROM ledger_numbers WHERE id = 1) AS last, (SELECT id FROM pushes WHERE name = ?) AS same FROM pushes
