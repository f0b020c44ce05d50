-- Deletes expired keys under the account's lock, so that they can be stored again.
DELETE FROM idempotency_keys WHERE key_hash IN ([[?]])
