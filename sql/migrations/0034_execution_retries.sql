-- The retries of an execution: the link from the old run to the new ones (executions.retry_of is the other direction). A row is
-- written with each retry only. Retries that were accepted before this migration have none.
CREATE TABLE execution_retries (
  retry_of     UUID NOT NULL,
  execution_id UUID NOT NULL,
  PRIMARY KEY (retry_of, execution_id),
  UNIQUE KEY by_execution (execution_id)
) ENGINE=InnoDB;
