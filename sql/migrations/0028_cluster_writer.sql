-- The node of a Galera cluster that takes the writes; one row, made by the first `millrace dbcheck`. The nodes certify its updates, so
-- all proxies that ask the nodes agree.
CREATE TABLE cluster_writer (
  id       TINYINT UNSIGNED NOT NULL PRIMARY KEY, -- 1
  node     VARBINARY(255)   NOT NULL,             -- its address, as in wsrep_incoming_addresses
  since_ms BIGINT           NOT NULL,
  beat     BIGINT           NOT NULL DEFAULT 0    -- grows while the writer can write
) ENGINE=InnoDB;
