INSERT INTO execution_chats (execution_id, workspace_id, thread_id, message_id, tool_call_id) VALUES {{(?, ?, ?, ?, ?)}}
