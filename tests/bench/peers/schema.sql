-- What a service made by hand stores for the same promises: keys, balances, workflows, runs, a ledger and the events of a run.
CREATE DATABASE IF NOT EXISTS peer;
USE peer;
CREATE TABLE accounts (workspace UUID NOT NULL PRIMARY KEY, balance BIGINT NOT NULL) ENGINE=InnoDB;
CREATE TABLE api_keys (hash BINARY(32) NOT NULL PRIMARY KEY, workspace UUID NOT NULL) ENGINE=InnoDB;
CREATE TABLE workflows (id UUID NOT NULL PRIMARY KEY, workspace UUID NOT NULL, program MEDIUMTEXT NOT NULL) ENGINE=InnoDB;
CREATE TABLE executions (
  id UUID NOT NULL PRIMARY KEY,
  workspace UUID NOT NULL,
  workflow UUID NOT NULL,
  state TINYINT NOT NULL,          -- 1 queued, 3 succeeded, 4 failed
  inputs MEDIUMTEXT NOT NULL,
  outputs MEDIUMTEXT NULL,
  created DATETIME(3) NOT NULL,
  finished DATETIME(3) NULL,
  KEY by_workspace (workspace, id),
  KEY open (state, id)
) ENGINE=InnoDB;
CREATE TABLE ledger (
  id UUID NOT NULL PRIMARY KEY, workspace UUID NOT NULL, execution UUID NOT NULL, amount BIGINT NOT NULL,
  KEY by_execution (execution)
) ENGINE=InnoDB;
CREATE TABLE events (
  execution UUID NOT NULL, seq INT NOT NULL, type VARCHAR(40) NOT NULL, at DATETIME(3) NOT NULL, data MEDIUMTEXT NULL,
  PRIMARY KEY (execution, seq)
) ENGINE=InnoDB;
