-- The workspace-wide feed of ended runs (lib/store/feed.h). The transaction that ends a run adds its row if the workspace has a feed;
-- the rows get their ids later, by one transaction at a time, so that an id never becomes visible after a higher one.
CREATE TABLE feeds (
  workspace_id    UUID   NOT NULL PRIMARY KEY,
  last_id         BIGINT NOT NULL,                    -- highest id given
  removed_id      BIGINT NOT NULL,                    -- rows up to this id are removed, or were never recorded
  wanted_until_ms BIGINT NOT NULL,                    -- nobody has read the feed for its time of keeping: it is deleted
  KEY (wanted_until_ms)
) ENGINE=InnoDB;
CREATE TABLE feed_events (
  execution_id UUID   NOT NULL PRIMARY KEY,           -- a run ends once
  workspace_id UUID   NOT NULL,
  id           BIGINT NULL,                           -- NULL: not numbered yet
  at_ms        BIGINT NOT NULL,
  KEY by_id (workspace_id, id)
) ENGINE=InnoDB;
