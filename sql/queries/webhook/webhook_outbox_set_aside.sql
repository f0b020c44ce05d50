-- A message that cannot be fanned out waits apart, so that it delays no other.
UPDATE webhook_outbox SET fanned = 2 WHERE id = ? AND fanned = 0
