-- Roots that were not terminal a moment ago, in the order in which runs are locked. Under the account's lock none can
-- be added.
SELECT id FROM executions WHERE workspace_id = ? AND state IN (1, 2) AND parent_id IS NULL ORDER BY id
