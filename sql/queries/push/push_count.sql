SELECT COUNT(*) AS n, (SELECT id FROM pushes WHERE name = ?) AS same FROM pushes
