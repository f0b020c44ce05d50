SELECT id FROM pushes WHERE name = ? FOR UPDATE
