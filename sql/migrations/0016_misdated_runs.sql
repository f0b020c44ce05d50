-- Retention counts from the acceptance of a run, which its id tells by the clock of the host that made it. Where that clock was
-- wrong, this is the time by MariaDB's clock; NULL: the id is right. Such a run is among the skipped ones from its acceptance.
ALTER TABLE retention_skipped ADD COLUMN accepted_ms BIGINT NULL;
