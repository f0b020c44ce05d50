UPDATE pushes SET due_ms = 0 WHERE id = ? AND claim IS NULL
