UPDATE webhook_outbox SET fanned = 0 WHERE fanned = 2 AND id IN ([[?]])
