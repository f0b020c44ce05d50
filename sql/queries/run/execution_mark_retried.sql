-- The bit SIDE_ROWS_RETRIES (lib/run/states.h); NULL stays.
UPDATE executions SET side_rows = side_rows | 2 WHERE id IN ([[?]]) ORDER BY id
