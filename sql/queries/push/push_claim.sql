UPDATE pushes SET due_ms = ?, claim = ? WHERE id = ?
