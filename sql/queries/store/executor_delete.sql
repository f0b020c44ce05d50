DELETE FROM executors WHERE id = ?
