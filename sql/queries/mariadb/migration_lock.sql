-- One `millrace migrate` at a time on a database; let go by migration_unlock or with the connection.
SELECT GET_LOCK(CONCAT('millrace.migrate.', DATABASE()), ?) AS is_locked
