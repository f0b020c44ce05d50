-- The last column is 24 hours from now, by MariaDB's clock, as the batch's idempotency key.
INSERT INTO batches (id, workspace_id, responder_id, items, first_item_id, last_item_id, expires_ms)
VALUES {{(?, ?, ?, ?, ?, ?, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) + 86400000)}}
