INSERT INTO upkeep_tasks (name, due_ms) VALUES (?, ?) ON DUPLICATE KEY UPDATE due_ms = due_ms
