DELETE FROM pushes WHERE id = ?
