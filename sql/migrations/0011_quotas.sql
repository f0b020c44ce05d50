-- Limits of what is free of charge. A row exists where the operator set a limit of a workspace or where usage is counted; otherwise the
-- settings of the section [quotas] apply.
CREATE TABLE quotas (
  workspace_id UUID          NOT NULL,
  name         VARBINARY(32) NOT NULL,               -- see lib/store/quota.h
  value        BIGINT        NULL,                   -- NULL: the setting of the same name
  used         BIGINT        NULL,                   -- of program_bytes; NULL: not counted yet
  PRIMARY KEY (workspace_id, name)
) ENGINE=InnoDB;

ALTER TABLE workflows ADD KEY by_archived (workspace_id, archived_ms);
ALTER TABLE stream_tickets ADD KEY by_workspace (workspace_id);
