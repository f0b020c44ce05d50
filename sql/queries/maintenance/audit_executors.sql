-- The executor processes of a host that nobody has found lost.
SELECT pid FROM executors WHERE host = ? AND lost_ms IS NULL
