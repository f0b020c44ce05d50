-- Only roots have a chat.
SELECT execution_id FROM execution_chats WHERE workspace_id = ? AND message_id = ? ORDER BY execution_id LIMIT 1
