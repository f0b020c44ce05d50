-- What was applied, by `millrace migrate`. applied_ms is NULL from a migration's beginning to its end: its statements
-- commit one by one, so one that stopped halfway must be looked at by a person.
CREATE TABLE IF NOT EXISTS schema_migrations (
  number     INT            NOT NULL PRIMARY KEY,
  name       VARBINARY(200) NOT NULL,
  sha256     VARBINARY(64)  NOT NULL,
  applied_ms BIGINT         NULL
) ENGINE=InnoDB
