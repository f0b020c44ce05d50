-- The process ids of a host's executors that are not marked as lost.
SELECT pid FROM executors WHERE host = ? AND lost_ms IS NULL
