-- Only roots have a row in execution_chats.
SELECT execution_id FROM execution_chats WHERE workspace_id = ? AND message_id = ? ORDER BY execution_id LIMIT 1
