-- The tables of the workflow contract. Times are milliseconds of the Unix epoch (UTC); money is whole micro-credits.
-- Ids are UUIDv7, which MariaDB keeps in time order, so that a range of ids is a range of time.
-- What only some runs have (a parent, tags, a chat message) stands in side tables, so that a plain run writes few rows.
-- Names, keys and tags are VARBINARY: compared octet by octet.

CREATE TABLE tenants (
  id         UUID           NOT NULL PRIMARY KEY,
  name       VARBINARY(200) NOT NULL,
  created_ms BIGINT         NOT NULL
) ENGINE=InnoDB;

CREATE TABLE workspaces (
  id         UUID           NOT NULL PRIMARY KEY,
  tenant_id  UUID           NOT NULL,
  name       VARBINARY(200) NOT NULL,
  created_ms BIGINT         NOT NULL
) ENGINE=InnoDB;

-- The row that every decision about money, idempotency and concurrency of a workspace is taken under.
CREATE TABLE accounts (
  workspace_id          UUID    NOT NULL PRIMARY KEY,
  balance               BIGINT  NOT NULL DEFAULT 0 CHECK (balance >= 0),
  version               BIGINT  NOT NULL DEFAULT 0,  -- grows with each change: Redis takes only what is newer
  touched               BIGINT  NOT NULL DEFAULT 0,  -- changed only to have something to flush before a replay is told
  active                INT     NOT NULL DEFAULT 0,  -- non-terminal roots; kept only where max_concurrent is set
  max_concurrent        INT     NULL,
  price                 BIGINT  NULL,                -- NULL: 1 credit
  rate_limit_per_minute INT     NULL                 -- NULL: the setting api.rate_limit_per_minute
) ENGINE=InnoDB;

CREATE TABLE api_keys (
  id           UUID           NOT NULL PRIMARY KEY,
  workspace_id UUID           NOT NULL,
  principal_id UUID           NOT NULL,
  hash         BINARY(32)     NOT NULL,              -- SHA-256 of the whole key
  prefix       VARBINARY(16)  NOT NULL,              -- what may be shown of it
  scopes       INT UNSIGNED   NOT NULL,              -- bit set, see core/scopes.h
  created_ms   BIGINT         NOT NULL,
  expires_ms   BIGINT         NULL,
  revoked_ms   BIGINT         NULL,
  last_used_ms BIGINT         NULL,                  -- to the minute
  UNIQUE KEY (hash),
  KEY (workspace_id, id)
) ENGINE=InnoDB;

CREATE TABLE workflows (
  id           UUID           NOT NULL PRIMARY KEY,
  workspace_id UUID           NOT NULL,
  name         VARBINARY(800) NOT NULL,
  description  BLOB           NOT NULL,
  version      INT            NOT NULL,              -- the current one
  price        BIGINT         NULL,                  -- set by the operator for this workflow
  created_by   UUID           NOT NULL,              -- principal
  created_ms   BIGINT         NOT NULL,
  updated_ms   BIGINT         NOT NULL,
  archived_ms  BIGINT         NULL,
  KEY (workspace_id, id)
) ENGINE=InnoDB;

CREATE TABLE workflow_versions (
  workflow_id UUID      NOT NULL,
  version     INT       NOT NULL,
  credits     BIGINT    NOT NULL,                    -- what the program asks for, 0 where it does not say
  program     MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, -- as sent
  created_by  UUID      NOT NULL,
  created_ms  BIGINT    NOT NULL,
  PRIMARY KEY (workflow_id, version)
) ENGINE=InnoDB;

CREATE TABLE workflow_calls (                        -- which workflows a current version starts: refuses loops
  workflow_id UUID NOT NULL,
  child_id    UUID NOT NULL,
  PRIMARY KEY (workflow_id, child_id)
) ENGINE=InnoDB;

-- One run. created_ms is the id's own millisecond. States and reasons are numbers of core/states.h.
CREATE TABLE executions (
  id             UUID              NOT NULL PRIMARY KEY,
  workspace_id   UUID              NOT NULL,
  responder_id   UUID              NOT NULL,
  principal_id   UUID              NOT NULL,
  key_id         UUID              NULL,
  root_id        UUID              NOT NULL,
  parent_id      UUID              NULL,
  retry_of       UUID              NULL,
  kind           TINYINT UNSIGNED  NOT NULL,         -- 1 workflow, 2 skill
  source         TINYINT UNSIGNED  NOT NULL,         -- 1 standalone, 2 chat, 3 workflow, 4 skill
  agentic        TINYINT UNSIGNED  NOT NULL DEFAULT 0,
  depth          TINYINT UNSIGNED  NOT NULL DEFAULT 0,
  version        INT               NOT NULL,         -- of the responder, as accepted
  state          TINYINT UNSIGNED  NOT NULL,
  failure_reason TINYINT UNSIGNED  NOT NULL DEFAULT 0,
  effects        TINYINT UNSIGNED  NOT NULL DEFAULT 0, -- a step or runner was started: no refund any more
  attempt        INT               NOT NULL DEFAULT 0, -- the fence: every executor write names it
  losses         INT               NOT NULL DEFAULT 0,
  last_seq       INT               NOT NULL DEFAULT 0, -- number of the newest event
  executor_id    BIGINT UNSIGNED   NOT NULL DEFAULT 0, -- who runs it; 0 nobody
  cost           BIGINT            NOT NULL,
  refunded       BIGINT            NOT NULL DEFAULT 0,
  started_ms     BIGINT            NULL,
  ended_ms       BIGINT            NULL,
  updated_ms     BIGINT            NOT NULL,
  deadline_ms    BIGINT            NULL,             -- set at the first claim; for a child at acceptance, as an upper bound
  purged_ms      BIGINT            NULL,
  KEY by_workspace (workspace_id, id),
  KEY by_responder (workspace_id, responder_id, id),
  KEY by_state (workspace_id, state, id),
  KEY by_work (state, executor_id, id)
) ENGINE=InnoDB;

-- What came in and what went out, as sent.
CREATE TABLE execution_payloads (
  execution_id UUID       NOT NULL PRIMARY KEY,
  input        MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  tags         TEXT       CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,  -- JSON array
  metadata     MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,  -- JSON object
  extra        MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL   -- JSON object: what is particular to the kind
) ENGINE=InnoDB;

CREATE TABLE execution_results (
  execution_id UUID       NOT NULL PRIMARY KEY,
  output       MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  error        TEXT       CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL
) ENGINE=InnoDB;

CREATE TABLE execution_tags (
  workspace_id UUID           NOT NULL,
  tag          VARBINARY(256) NOT NULL,
  execution_id UUID           NOT NULL,
  PRIMARY KEY (workspace_id, tag, execution_id),
  KEY (execution_id)
) ENGINE=InnoDB;

-- Children only; a resumed parent finds the one it started by (parent, step, item, try).
CREATE TABLE execution_children (
  root_id   UUID     NOT NULL,
  child_id  UUID     NOT NULL,
  parent_id UUID     NOT NULL,
  step      SMALLINT NOT NULL,
  item      INT      NOT NULL,                       -- -1 where the step does not loop
  try       INT      NOT NULL,
  PRIMARY KEY (root_id, child_id),
  UNIQUE KEY by_parent (parent_id, step, item, try)
) ENGINE=InnoDB;

-- Runs that a chat started.
CREATE TABLE execution_chats (
  execution_id UUID           NOT NULL PRIMARY KEY,
  workspace_id UUID           NOT NULL,
  thread_id    VARBINARY(256) NULL,
  message_id   UUID           NULL,
  tool_call_id VARBINARY(256) NULL,
  UNIQUE KEY by_tool_call (workspace_id, tool_call_id),
  KEY by_message (workspace_id, message_id, execution_id)
) ENGINE=InnoDB;

CREATE TABLE execution_steps (
  execution_id UUID             NOT NULL,
  step         SMALLINT         NOT NULL,            -- index in the program, from 0
  item         INT              NOT NULL,            -- -1 the step itself, else the index in for_each
  status       TINYINT UNSIGNED NOT NULL,            -- core/states.h: running, completed, failed, skipped, waiting
  tries        INT              NOT NULL DEFAULT 0,  -- attempts begun
  due_ms       BIGINT           NULL,                -- a delay's end or the next try
  started_ms   BIGINT           NULL,
  completed_ms BIGINT           NULL,
  result       MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  error        TEXT       CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  PRIMARY KEY (execution_id, step, item)
) ENGINE=InnoDB;

CREATE TABLE events (
  execution_id UUID             NOT NULL,
  seq          INT              NOT NULL,            -- from 1, without gaps
  type         TINYINT UNSIGNED NOT NULL,            -- core/states.h
  at_ms        BIGINT           NOT NULL,
  data         TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL, -- JSON object
  PRIMARY KEY (execution_id, seq)
) ENGINE=InnoDB;

-- A debit's id is its execution's, so the primary key itself allows one; a refund's and a grant's id is their own.
CREATE TABLE credit_ledger (
  workspace_id UUID             NOT NULL,
  id           UUID             NOT NULL,
  kind         TINYINT UNSIGNED NOT NULL,            -- 1 grant, 2 debit, 3 refund
  amount       BIGINT           NOT NULL,            -- debits are negative
  execution_id UUID             NULL,
  responder_id UUID             NULL,
  key_id       UUID             NULL,
  reason       VARBINARY(500)   NULL,
  PRIMARY KEY (workspace_id, id)
) ENGINE=InnoDB;

CREATE TABLE idempotency_keys (
  key_hash        BINARY(32)     NOT NULL PRIMARY KEY, -- SHA-256 of workspace and key, see core/idempotency.h
  workspace_id    UUID           NOT NULL,
  idempotency_key VARBINARY(256) NOT NULL,
  fingerprint     BINARY(32)     NOT NULL,           -- SHA-256 of the request
  execution_id    UUID           NULL,               -- what it started or stopped
  status          SMALLINT       NOT NULL,
  body            MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL, -- NULL once purged: rendered from the execution
  expires_ms      BIGINT         NOT NULL,
  KEY (expires_ms),
  KEY (execution_id)
) ENGINE=InnoDB;

CREATE TABLE secrets (
  workspace_id UUID           NOT NULL,
  name         VARBINARY(64)  NOT NULL,
  nonce        VARBINARY(32)  NOT NULL,
  sealed       BLOB           NOT NULL,
  updated_ms   BIGINT         NOT NULL,
  PRIMARY KEY (workspace_id, name)
) ENGINE=InnoDB;

-- Executor processes: a counter that grows while they live.
CREATE TABLE executors (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  host       VARBINARY(255)  NOT NULL,
  pid        INT             NOT NULL,
  beat       BIGINT          NOT NULL DEFAULT 0,
  started_ms BIGINT          NOT NULL,
  lost_ms    BIGINT          NULL
) ENGINE=InnoDB;

CREATE TABLE upkeep_tasks (
  name   VARBINARY(64) NOT NULL PRIMARY KEY,
  due_ms BIGINT        NOT NULL
) ENGINE=InnoDB;
