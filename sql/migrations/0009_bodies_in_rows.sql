-- What came in and what went out stands in the run's own row: a run that is read costs one look-up, and one that is
-- accepted or ends writes a table less. Long ones lie off the page by themselves, and lists never fetch them.
ALTER TABLE executions
  ADD COLUMN has_children TINYINT UNSIGNED NOT NULL DEFAULT 0, -- it has started others: only then is its tree worth a look
  ADD COLUMN input        MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD COLUMN tags         TEXT       CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL, -- JSON array
  ADD COLUMN metadata     MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL, -- JSON object
  ADD COLUMN extra        MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL, -- JSON object: what is particular to the kind
  ADD COLUMN output       MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD COLUMN error        TEXT       CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL;

UPDATE executions e JOIN execution_payloads p ON p.execution_id = e.id
SET e.input = p.input, e.tags = p.tags, e.metadata = p.metadata, e.extra = p.extra;
UPDATE executions e JOIN execution_results r ON r.execution_id = e.id SET e.output = r.output, e.error = r.error;
UPDATE executions e JOIN execution_children c ON c.parent_id = e.id SET e.has_children = 1;

DROP TABLE execution_payloads, execution_results;
