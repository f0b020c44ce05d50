-- Lets one `millrace migrate` at a time run on a database. Released by migration_unlock, or with the connection.
SELECT GET_LOCK(CONCAT('millrace.migrate.', DATABASE()), ?) AS is_locked
