-- Notes a run whose rows are erased in slices. Removing a run that is still being purged begins again.
INSERT INTO purges (execution_id, removes, due_ms) VALUES (?, ?, ?)
ON DUPLICATE KEY UPDATE removes = VALUES(removes), stage = 0, step = -1, item = -2, due_ms = VALUES(due_ms)
