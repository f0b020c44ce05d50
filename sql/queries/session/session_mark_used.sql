UPDATE console_sessions SET used_ms = ? WHERE id = ? AND used_ms < ?
