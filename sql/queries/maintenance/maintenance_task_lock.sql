-- The process that gets this lock runs the task. The others skip the row instead of waiting.
SELECT due_ms FROM upkeep_tasks WHERE name = ? FOR UPDATE SKIP LOCKED
