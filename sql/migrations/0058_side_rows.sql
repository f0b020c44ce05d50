-- Whether an execution has rows in side tables that few executions have, so that reading it alone does not look into them: the bits of
-- lib/run/states.h. NULL: not known, because an older program accepted it.
ALTER TABLE executions ADD COLUMN side_rows TINYINT UNSIGNED NULL, ALGORITHM=INSTANT;
