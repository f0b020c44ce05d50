UPDATE upkeep_tasks SET due_ms = ? WHERE name = ?
