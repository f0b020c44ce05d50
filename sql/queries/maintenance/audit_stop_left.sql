-- At rest no tree is being stopped.
-- Columns as in audit_active.
SELECT execution_id AS subject, CONCAT('marked since ', at_ms) AS detail FROM stops
