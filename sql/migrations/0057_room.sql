-- Bytes that a row keeps free for what it gets later (docs/performance.md, "Rows that do not grow"): the row of a run for its times and its result, a
-- row of the ledger for its number. They are filled when the row is inserted and given up when it would grow. They have no meaning, and rows of older
-- programs have none.
ALTER TABLE executions ADD COLUMN room VARBINARY(96) NULL, ALGORITHM=INSTANT;
ALTER TABLE credit_ledger ADD COLUMN room VARBINARY(8) NULL, ALGORITHM=INSTANT;
