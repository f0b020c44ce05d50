UPDATE webhook_outbox SET body = NULL WHERE execution_id IN ([[?]])
