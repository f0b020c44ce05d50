-- Webhooks: requests that Millrace sends when a run ends (docs/webhooks.md).

-- Of a run's own webhook: lib/run/outbox.h numbers the bits. NULL: the run has none.
ALTER TABLE executions
  ADD COLUMN webhook_events INT UNSIGNED    NULL,
  ADD COLUMN webhook_url    VARBINARY(2048) NULL;

-- Endpoints of workspaces.
CREATE TABLE webhooks (
  id               UUID             NOT NULL PRIMARY KEY,
  workspace_id     UUID             NOT NULL,
  url              VARBINARY(2048)  NOT NULL,
  events           INT UNSIGNED     NOT NULL,          -- lib/run/outbox.h
  workflow_id      UUID             NULL,              -- only runs of this workflow or skill
  tags             TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL, -- JSON array; only runs that have all of them
  description      TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  enabled          TINYINT UNSIGNED NOT NULL DEFAULT 1,
  disabled_reason  TINYINT UNSIGNED NULL,              -- lib/webhook/endpoint.h
  disabled_ms      BIGINT           NULL,
  failing_since_ms BIGINT           NULL,              -- no try has succeeded since
  nonce            VARBINARY(24)    NOT NULL,
  sealed           VARBINARY(128)   NOT NULL,          -- the secret, encrypted (lib/secret/seal.h)
  old_nonce        VARBINARY(24)    NULL,              -- the secret before it, which signs until old_until_ms
  old_sealed       VARBINARY(128)   NULL,
  old_until_ms     BIGINT           NULL,
  created_ms       BIGINT           NOT NULL,
  updated_ms       BIGINT           NOT NULL,
  KEY by_workspace (workspace_id, id)
) ENGINE=InnoDB;

-- The secret that signs the own webhooks of a workspace's runs.
CREATE TABLE webhook_secrets (
  workspace_id UUID           NOT NULL PRIMARY KEY,
  nonce        VARBINARY(24)  NOT NULL,
  sealed       VARBINARY(128) NOT NULL,
  old_nonce    VARBINARY(24)  NULL,
  old_sealed   VARBINARY(128) NULL,
  old_until_ms BIGINT         NULL,
  created_ms   BIGINT         NOT NULL
) ENGINE=InnoDB;

-- Messages. The transaction that makes an event true writes its row; deliveries are made from it later.
CREATE TABLE webhook_outbox (
  id           UUID             NOT NULL PRIMARY KEY,  -- the message's id in all tries
  workspace_id UUID             NOT NULL,
  execution_id UUID             NULL,                  -- the run; NULL: the event is about an endpoint
  webhook_id   UUID             NULL,                  -- webhook.test: its endpoint; webhook.disabled: which
  event        TINYINT UNSIGNED NOT NULL,              -- lib/run/outbox.h
  at_ms        BIGINT           NOT NULL,
  fanned       TINYINT UNSIGNED NOT NULL DEFAULT 0,    -- 1: its deliveries exist
  body         BLOB             NULL,                  -- NULL: not rendered yet, or purged
  KEY by_turn (fanned, workspace_id, id),
  KEY by_execution (execution_id)
) ENGINE=InnoDB;

CREATE TABLE webhook_deliveries (
  id           UUID              NOT NULL PRIMARY KEY,
  workspace_id UUID              NOT NULL,
  webhook_id   UUID              NULL,                 -- NULL: a run's own webhook
  outbox_id    UUID              NOT NULL,
  execution_id UUID              NULL,
  lane_id      UUID              NOT NULL,             -- webhook_lanes
  url          VARBINARY(2048)   NULL,                 -- of a run's own webhook
  state        TINYINT UNSIGNED  NOT NULL,             -- lib/webhook/delivery.h
  tries        SMALLINT UNSIGNED NOT NULL DEFAULT 0,   -- that ended since the first request or the last redelivery
  due_ms       BIGINT            NOT NULL,
  status       SMALLINT UNSIGNED NULL,                 -- of the last answer
  error        VARBINARY(512)    NULL,                 -- of the last try
  answer       VARBINARY(1024)   NULL,                 -- the beginning of the last answer
  created_ms   BIGINT            NOT NULL,
  tried_ms     BIGINT            NULL,
  KEY by_lane (lane_id, state, due_ms),
  KEY by_webhook (webhook_id, id),
  KEY by_outbox (outbox_id),
  KEY by_execution (execution_id)
) ENGINE=InnoDB;

-- One row for each endpoint, and for each host of own webhooks of a workspace, that has pending deliveries. The process that claims a
-- row sends its deliveries: so an endpoint gets its requests from one process at a time, and a slow one delays no other.
CREATE TABLE webhook_lanes (
  id            UUID             NOT NULL PRIMARY KEY, -- the endpoint's id, or a hash of workspace and host
  workspace_id  UUID             NOT NULL,
  webhook_id    UUID             NULL,
  due_ms        BIGINT           NOT NULL,             -- of its first pending delivery
  not_before_ms BIGINT           NOT NULL DEFAULT 0,   -- a process has it until then, or it pauses after a failure
  failures      INT UNSIGNED     NOT NULL DEFAULT 0,   -- tries that failed since the last success
  failing       TINYINT UNSIGNED NOT NULL DEFAULT 0,   -- 1: failures > 0
  busy          TINYINT UNSIGNED NOT NULL DEFAULT 0,   -- 1: a process has it, until not_before_ms at the latest
  sends         TINYINT UNSIGNED NOT NULL DEFAULT 1,   -- deliveries that it sends at a time
  pending       INT UNSIGNED     NOT NULL DEFAULT 0,   -- pending deliveries; counted anew after each send
  KEY by_due (failing, due_ms),
  KEY by_workspace (workspace_id)
) ENGINE=InnoDB;
