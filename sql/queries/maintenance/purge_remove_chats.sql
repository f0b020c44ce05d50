DELETE FROM execution_chats WHERE execution_id IN ([[?]])
