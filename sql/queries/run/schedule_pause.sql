UPDATE schedules SET revision = revision + 1, paused = ?, due_ms = NULL, updated_ms = ? WHERE id = ?
