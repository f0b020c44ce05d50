-- Those that are open, also of runs that have ended, until a ticket is made that has no room.
SELECT COUNT(*) AS used FROM signal_tickets FORCE INDEX (open) WHERE workspace_id = ? AND open_until_ms > UNIX_TIMESTAMP(NOW(3)) * 1000
