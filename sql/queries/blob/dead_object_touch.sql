-- Objects that could not be removed: tried again in ten minutes.
UPDATE dead_objects SET touched_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) WHERE object IN ([[?]])
