SELECT deadline_ms FROM executions WHERE id = ?
