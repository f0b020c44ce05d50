UPDATE events SET data = NULL WHERE execution_id = ? AND seq > ? AND seq <= ? AND data IS NOT NULL
