SELECT name, due_ms FROM upkeep_tasks
