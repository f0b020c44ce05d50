-- Who has the row does the task; nobody waits for it.
SELECT due_ms FROM upkeep_tasks WHERE name = ? FOR UPDATE SKIP LOCKED
