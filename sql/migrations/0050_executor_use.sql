-- What an executor process had in flight at its last heartbeat, for GET /metrics. NULL: a program that does not say.
ALTER TABLE executors
  ADD COLUMN http_in_flight INT NULL,                    -- requests that have a place
  ADD COLUMN http_waiting   INT NULL,                    -- requests that wait for one
  ADD COLUMN http_max       INT NULL,                    -- the places
  ADD COLUMN commands       INT NULL,                    -- runner processes
  ALGORITHM=INSTANT;
