-- Requests to run-batch with an Idempotency-Key. The row commits before the first item is accepted; the ids of the items' runs are
-- derived from its id, so that a repetition of the request finds what an earlier one has accepted (lib/run/batch.h).
CREATE TABLE batches (
  id            UUID   NOT NULL PRIMARY KEY,
  workspace_id  UUID   NOT NULL,
  responder_id  UUID   NOT NULL,
  items         INT    NOT NULL,
  first_item_id UUID   NOT NULL,                      -- the runs' ids stand between these two
  last_item_id  UUID   NOT NULL,
  accepted      INT    NULL,                          -- runs of the batch; NULL until it is finished
  results       MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL, -- the response; NULL until the batch is finished
  expires_ms    BIGINT NOT NULL,                      -- as the idempotency key
  KEY (expires_ms)
) ENGINE=InnoDB;
