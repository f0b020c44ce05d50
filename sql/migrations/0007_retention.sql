-- How long a workspace keeps what its runs were given and made (payloads), and the runs themselves. The cursors: every
-- run with a lower id has been dealt with. Rows of the ledger are kept for good, and with them the daily totals.
CREATE TABLE retention (
  workspace_id      UUID   NOT NULL PRIMARY KEY,
  keep_payload_days INT    NULL,                     -- NULL: for good
  keep_rows_days    INT    NULL,
  purged_to         UUID   NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
  removed_to        UUID   NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
  due_ms            BIGINT NOT NULL DEFAULT 0,       -- when to look again
  KEY (due_ms)
) ENGINE=InnoDB;
