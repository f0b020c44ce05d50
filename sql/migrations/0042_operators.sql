-- Operators of the installation (lib/session/operator.h), whose tokens open sessions of the console. Rows stay after the revocation: runs
-- that an operator started name it in place of a key.
CREATE TABLE operators (
  id           UUID             NOT NULL PRIMARY KEY,
  name         VARBINARY(64)    NOT NULL,             -- unique among those that are not revoked
  role         TINYINT UNSIGNED NOT NULL,             -- lib/session/role.h
  hash         BINARY(32)       NOT NULL,             -- keyed BLAKE2b of the token
  prefix       VARBINARY(16)    NOT NULL,             -- what may be shown of it
  created_ms   BIGINT           NOT NULL,
  expires_ms   BIGINT           NULL,
  revoked_ms   BIGINT           NULL,
  last_used_ms BIGINT           NULL,                 -- to the minute
  UNIQUE KEY (hash),
  KEY by_name (name)
) ENGINE=InnoDB;

-- A session belongs to a key or to an operator.
ALTER TABLE console_sessions
  MODIFY key_id UUID NULL,
  ADD COLUMN operator_id UUID NULL AFTER key_id,
  ADD KEY by_operator (operator_id, used_ms);
