-- Skills in spaces: packages and their versions, models, files, artifacts, and what a run used.
-- Bytes lie in files.dir (core/blob.h), found by their SHA-256; a blob is kept while a row below names it.

CREATE TABLE skills (
  id           UUID          NOT NULL PRIMARY KEY,
  workspace_id UUID          NOT NULL,
  slug         VARBINARY(64) NOT NULL,
  version      INT           NOT NULL,               -- the current one
  price        BIGINT        NULL,                   -- set by the operator for this skill
  created_ms   BIGINT        NOT NULL,
  updated_ms   BIGINT        NOT NULL,
  archived_ms  BIGINT        NULL,
  UNIQUE KEY (workspace_id, slug)
) ENGINE=InnoDB;

-- Never changed. Their files: files.dir/skills/<hash in hex>/
CREATE TABLE skill_versions (
  skill_id   UUID          NOT NULL,
  version    INT           NOT NULL,                 -- 1, 2, 3 … in the order of installation
  label      VARBINARY(64) NOT NULL,                 -- the manifest's semantic version
  hash       BINARY(32)    NOT NULL,                 -- SHA-256 over all files of the package
  agentic    TINYINT UNSIGNED NOT NULL,              -- its runner calls a model
  credits    BIGINT        NOT NULL,                 -- what the manifest asks for, 0 where it does not say
  manifest   MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, -- as written
  created_ms BIGINT        NOT NULL,
  PRIMARY KEY (skill_id, version),
  UNIQUE KEY (skill_id, label)
) ENGINE=InnoDB;

-- The models that runs of a space may use, by alias; prices in micro-dollars per million tokens.
CREATE TABLE models (
  workspace_id UUID            NOT NULL,
  alias        VARBINARY(64)   NOT NULL,
  url          VARBINARY(2000) NOT NULL,             -- the API's base; /chat/completions is added
  model        VARBINARY(200)  NOT NULL,             -- as that API names it
  nonce        VARBINARY(32)   NULL,                 -- of the sealed key (core/secrets.h); NULL: none is sent
  sealed       BLOB            NULL,
  input_price  BIGINT          NOT NULL,
  output_price BIGINT          NOT NULL,
  is_default   TINYINT UNSIGNED NOT NULL,
  updated_ms   BIGINT          NOT NULL,
  PRIMARY KEY (workspace_id, alias)
) ENGINE=InnoDB;

-- The personal collection of a principal in a workspace.
CREATE TABLE files (
  workspace_id UUID           NOT NULL,
  principal_id UUID           NOT NULL,
  name         VARBINARY(255) NOT NULL,
  size         BIGINT         NOT NULL,
  sha256       BINARY(32)     NOT NULL,
  media_type   VARBINARY(255) NOT NULL,
  created_ms   BIGINT         NOT NULL,
  PRIMARY KEY (workspace_id, principal_id, name),
  KEY (sha256)
) ENGINE=InnoDB;

CREATE TABLE artifacts (
  execution_id UUID            NOT NULL,
  id           UUID            NOT NULL,
  relpath      VARBINARY(4096) NOT NULL,             -- below the run's working directory
  media_type   VARBINARY(255)  NOT NULL,
  size         BIGINT          NOT NULL,
  sha256       BINARY(32)      NOT NULL,
  PRIMARY KEY (execution_id, id),
  KEY (sha256)
) ENGINE=InnoDB;

-- What a skill's run used, and its log.
CREATE TABLE execution_usage (
  execution_id  UUID          NOT NULL PRIMARY KEY,
  input_tokens  BIGINT        NOT NULL DEFAULT 0,
  output_tokens BIGINT        NOT NULL DEFAULT 0,
  cost          BIGINT        NOT NULL DEFAULT 0,    -- 10^-12 dollars
  wallclock_ms  BIGINT        NULL,
  iterations    INT           NOT NULL DEFAULT 0,    -- calls of a model
  trace_id      VARBINARY(64) NULL,
  log_sha256    BINARY(32)    NULL,
  log_size      BIGINT        NOT NULL DEFAULT 0,
  KEY (log_sha256)
) ENGINE=InnoDB;
