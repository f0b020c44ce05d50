-- Signals that were sent to runs. A row lives as long as its run; the data goes when a wait has consumed it.
CREATE TABLE signals (
  execution_id UUID             NOT NULL,
  seq          INT UNSIGNED     NOT NULL,            -- the order in which they came, from 1
  id           UUID             NOT NULL,            -- chosen by the sender's request, which recognizes itself by it
  name         VARBINARY(64)    NOT NULL,
  state        TINYINT UNSIGNED NOT NULL,            -- 0: kept; 1: given to a wait; 2: consumed, or rejected by the schema
  step         INT              NULL,                -- the wait that it was given to
  item         INT              NULL,                -- -1: the step itself
  at_ms        BIGINT           NOT NULL,
  sender       VARBINARY(1024)  NOT NULL,            -- JSON: who sent it
  data         MEDIUMBLOB       NULL,                -- JSON
  PRIMARY KEY (execution_id, seq)
) ENGINE=InnoDB;

-- The waits of a parked run. Written by the transaction that parks it, under the lock of its execution.
CREATE TABLE signal_waits (
  execution_id UUID            NOT NULL,
  step         INT             NOT NULL,
  item         INT             NOT NULL,
  name         VARBINARY(64)   NOT NULL,
  due_ms       BIGINT          NOT NULL,             -- the end of its timeout
  message      VARBINARY(4096) NULL,                 -- what people are asked
  PRIMARY KEY (execution_id, step, item)
) ENGINE=InnoDB;

-- Until when the run was to be parked. What is left of it when it is woken is taken from its deadline again. NULL: the time that it is
-- parked counts.
ALTER TABLE waits ADD COLUMN until_ms BIGINT NULL;
