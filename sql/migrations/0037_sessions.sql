-- Sessions of the console (lib/session/session.h): what a browser's cookie stands for. Only a hash of the cookie is kept.
CREATE TABLE console_sessions (
  id         UUID       NOT NULL PRIMARY KEY,
  hash       BINARY(32) NOT NULL,                    -- BLAKE2b of the cookie
  key_id     UUID       NOT NULL,                    -- the API key that it was exchanged for
  created_ms BIGINT     NOT NULL,
  used_ms    BIGINT     NOT NULL,                    -- to the minute
  ends_ms    BIGINT     NOT NULL,                    -- however much it is used
  UNIQUE KEY (hash),
  KEY by_key (key_id, used_ms),
  KEY by_end (ends_ms)
) ENGINE=InnoDB;
