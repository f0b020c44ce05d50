-- Maintenance in transactions of at most 500 rows.

-- Runs of which more rows are to be erased than one transaction may change. They are purged or removed already for every
-- reader; their step rows, events, artifacts and usage follow in slices (lib/maintenance/purge.c).
CREATE TABLE purges (
  execution_id UUID             NOT NULL PRIMARY KEY,
  removes      TINYINT UNSIGNED NOT NULL,            -- 1: the rows are deleted, 0: what they hold is
  stage        TINYINT UNSIGNED NOT NULL DEFAULT 0,  -- the table that is worked on: enum purge_stage
  step         INT              NOT NULL DEFAULT -1, -- the last row of that table that was erased: (step, item) or (0, seq)
  item         INT              NOT NULL DEFAULT -2,
  due_ms       BIGINT           NOT NULL,
  KEY (due_ms)
) ENGINE=InnoDB;

-- Runs that a cursor of retention has passed although they could not be purged or removed yet, mostly because they had not
-- ended.
CREATE TABLE retention_skipped (
  workspace_id UUID             NOT NULL,
  removes      TINYINT UNSIGNED NOT NULL,            -- 1: passed by the cursor removed_to, 0: by purged_to
  execution_id UUID             NOT NULL,
  due_ms       BIGINT           NOT NULL,            -- when to look again
  PRIMARY KEY (workspace_id, removes, execution_id),
  KEY by_due (workspace_id, removes, due_ms)
) ENGINE=InnoDB;

-- Failures in a row: a workspace that fails is due later each time.
ALTER TABLE retention ADD COLUMN failures INT NOT NULL DEFAULT 0;

-- When to look whether the ticket can still be used.
ALTER TABLE stream_tickets ADD COLUMN check_ms BIGINT NOT NULL DEFAULT 0, ADD KEY (check_ms);
