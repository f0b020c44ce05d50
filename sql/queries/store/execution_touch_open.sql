-- Counts (by the number of changed rows) and writes those of these runs that have not ended. Waits for transactions that are ending
-- one of them. The runs are locked by primary key in ascending order, like every lock on runs. One millisecond more means nothing.
UPDATE executions SET updated_ms = updated_ms + 1 WHERE id IN ([[?]]) AND state IN (1, 2) ORDER BY id
