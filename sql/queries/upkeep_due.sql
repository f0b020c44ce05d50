-- Due, or due so late that the clock must have been set back since.
SELECT name FROM upkeep_tasks WHERE name = ? AND (due_ms <= ? OR due_ms > ?) FOR UPDATE SKIP LOCKED
