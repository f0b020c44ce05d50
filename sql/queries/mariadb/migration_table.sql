-- The migrations that `millrace migrate` has applied. applied_ms is NULL from a migration's beginning to its end. The
-- statements of a migration commit one by one, so an interrupted migration needs a person to repair it.
CREATE TABLE IF NOT EXISTS schema_migrations (
  number     INT            NOT NULL PRIMARY KEY,
  name       VARBINARY(200) NOT NULL,
  sha256     VARBINARY(64)  NOT NULL,
  applied_ms BIGINT         NULL
) ENGINE=InnoDB
