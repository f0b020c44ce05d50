-- Bulk jobs: one action on every run that a filter matches (docs/bulk-jobs.md). The numbers are those of lib/run/bulk_item.h.
CREATE TABLE bulk_jobs (
  id           UUID             NOT NULL PRIMARY KEY,
  workspace_id UUID             NOT NULL,
  principal_id UUID             NOT NULL,                -- of the caller: runs that a retry starts are his
  key_id       UUID             NOT NULL,
  action       TINYINT UNSIGNED NOT NULL,                -- stop, retry, purge
  state        TINYINT UNSIGNED NOT NULL,                -- collecting, running, paused, completed, cancelled
  reason       TINYINT UNSIGNED NOT NULL DEFAULT 0,      -- why it is paused, or waits until due_ms
  kinds        TINYINT UNSIGNED NOT NULL,                -- the kinds of responders that the key may act on, as bits
  filter       MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, -- as sent
  selection    MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, -- as read: lib/store/bulk_job.c
  from_step    VARBINARY(256)   NULL,                    -- of retries: as in a single retry
  is_current   TINYINT UNSIGNED NOT NULL DEFAULT 0,      -- of retries: the current version
  below_id     UUID             NOT NULL,                -- matching runs below this id are not collected yet
  matched      BIGINT           NOT NULL DEFAULT 0,      -- rows of bulk_items that were inserted
  is_collected TINYINT UNSIGNED NOT NULL DEFAULT 0,
  is_truncated TINYINT UNSIGNED NOT NULL DEFAULT 0,      -- more runs match than a job takes
  due_ms       BIGINT           NULL,                    -- when an executor goes on; NULL: not
  created_ms   BIGINT           NOT NULL,
  updated_ms   BIGINT           NOT NULL,
  ended_ms     BIGINT           NULL,
  KEY by_workspace (workspace_id, id),
  KEY by_due (due_ms, workspace_id),
  KEY by_end (ended_ms)
) ENGINE=InnoDB;

-- One row for each run. What becomes of it is written once, by the transaction that acts on the run.
CREATE TABLE bulk_items (
  job_id       UUID             NOT NULL,
  execution_id UUID             NOT NULL,
  outcome      TINYINT UNSIGNED NOT NULL DEFAULT 0,      -- pending, done, skipped, failed
  reason       TINYINT UNSIGNED NOT NULL DEFAULT 0,
  result_id    UUID             NULL,                    -- the run that a retry has started
  decided_ms   BIGINT           NULL,
  PRIMARY KEY (job_id, execution_id),
  KEY by_outcome (job_id, outcome, execution_id)
) ENGINE=InnoDB;

-- How many items of a job have which outcome, pending ones excepted.
CREATE TABLE bulk_counts (
  job_id  UUID             NOT NULL,
  outcome TINYINT UNSIGNED NOT NULL,
  reason  TINYINT UNSIGNED NOT NULL,
  n       BIGINT           NOT NULL,
  PRIMARY KEY (job_id, outcome, reason)
) ENGINE=InnoDB;
