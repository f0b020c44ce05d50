-- Every execution that succeeded and was not purged has an output.
-- Columns as in audit_active.
SELECT id AS subject, 'has no output' AS detail FROM executions WHERE state = 3 AND purged_ms IS NULL AND output IS NULL
