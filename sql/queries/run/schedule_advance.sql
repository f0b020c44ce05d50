UPDATE schedules SET revision = revision + 1, next_ms = ?, due_ms = ?, waiting_ms = ? WHERE id = ?
