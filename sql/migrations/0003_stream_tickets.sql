-- What a browser opens an event stream with, which cannot send headers. Only the hash is kept. First used within
-- 60 s, then good until its run's end + 5 minutes.
CREATE TABLE stream_tickets (
  hash         BINARY(32) NOT NULL PRIMARY KEY,      -- SHA-256 of the ticket
  workspace_id UUID       NOT NULL,
  execution_id UUID       NOT NULL,
  key_id       UUID       NOT NULL,                  -- good while this key is
  created_ms   BIGINT     NOT NULL,
  used_ms      BIGINT     NULL                       -- first
) ENGINE=InnoDB;
