-- Grows with each change of what can be run in a workspace (a new version, an archival), under the account's lock: a run
-- that was judged beside the same number needs no second look at its workflow when it is accepted.
ALTER TABLE accounts ADD COLUMN responders BIGINT NOT NULL DEFAULT 1;
