-- Schedules and their occurrences (docs/schedules.md). A schedule belongs to its creator's principal and key.
CREATE TABLE schedules (
  id              UUID             NOT NULL PRIMARY KEY,
  workspace_id    UUID             NOT NULL,
  principal_id    UUID             NOT NULL,
  key_id          UUID             NOT NULL,
  responder_id    UUID             NOT NULL,
  kind            TINYINT UNSIGNED NOT NULL,            -- lib/run/states.h: workflow, skill
  timing          TINYINT UNSIGNED NOT NULL,            -- lib/schedule/timing.h: cron, every, at
  cron            VARBINARY(256)   NULL,
  timezone        VARBINARY(64)    NOT NULL,
  every_s         INT              NULL,
  at_ms           BIGINT           NULL,
  anchor_ms       BIGINT           NOT NULL,            -- from which every_s counts
  start_ms        BIGINT           NULL,
  end_ms          BIGINT           NULL,
  jitter_s        INT              NOT NULL,
  overlap         TINYINT UNSIGNED NOT NULL,            -- lib/run/occurrence.h
  catch_up_s      INT              NOT NULL,
  paused          TINYINT UNSIGNED NOT NULL DEFAULT 0,  -- 1 by the caller, 2 because the key was revoked or expired
  next_ms         BIGINT           NULL,                -- the next nominal time; NULL: none is left
  due_ms          BIGINT           NULL,                -- when it is decided; NULL: nothing is due
  waiting_ms      BIGINT           NULL,                -- the occurrence that waits for the end of a run (queue_one)
  revision        BIGINT           NOT NULL DEFAULT 1,  -- grows with each change of the row
  note            VARBINARY(4000)  NOT NULL,
  input           MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  tags            TEXT       CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  metadata        MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  extra           MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  created_ms      BIGINT           NOT NULL,
  updated_ms      BIGINT           NOT NULL,
  KEY (workspace_id, id),
  KEY (due_ms, workspace_id),
  KEY (waiting_ms)
) ENGINE=InnoDB;

-- The primary key is what makes an occurrence happen once. A row is written by the transaction that accepts or refuses its run.
CREATE TABLE schedule_occurrences (
  schedule_id  UUID             NOT NULL,
  nominal_ms   BIGINT           NOT NULL,
  workspace_id UUID             NOT NULL,
  origin       TINYINT UNSIGNED NOT NULL,               -- lib/run/occurrence.h: schedule, trigger, backfill
  state        TINYINT UNSIGNED NOT NULL,               -- lib/run/occurrence.h: started, waiting, skipped, missed, refused
  reason       TINYINT UNSIGNED NOT NULL DEFAULT 0,
  execution_id UUID             NULL,
  is_open      TINYINT UNSIGNED NULL,                   -- 1: its run has perhaps not ended; the next decision of the schedule looks
  decided_ms   BIGINT           NOT NULL,
  PRIMARY KEY (schedule_id, nominal_ms),
  KEY by_open (schedule_id, is_open),
  KEY by_execution (execution_id, decided_ms)           -- of a run; and by age those that have none
) ENGINE=InnoDB;
