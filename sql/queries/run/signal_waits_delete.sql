DELETE FROM signal_waits WHERE execution_id = ? AND step = ? AND item = ?
