-- The rights of `millrace dbcheck`, on a Galera cluster only. Once, as root of a node, in the database of Millrace, after
-- CREATE USER 'millrace_dbcheck'@'localhost' IDENTIFIED BY '…';
GRANT SELECT, INSERT, UPDATE ON cluster_writer TO 'millrace_dbcheck'@'localhost';
