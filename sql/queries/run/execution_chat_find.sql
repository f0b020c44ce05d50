SELECT execution_id FROM execution_chats WHERE workspace_id = ? AND tool_call_id = ?
