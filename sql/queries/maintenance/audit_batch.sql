-- Finished batches whose count of accepted items differs from the runs whose ids were derived from them. Retention removes a run a day
-- after its end, when the batch has expired.
-- Columns as in audit_active.
SELECT b.id AS subject, CONCAT('accepted ', b.accepted, ', runs ', COUNT(e.id)) AS detail
FROM batches b
LEFT JOIN executions e ON e.id BETWEEN b.first_item_id AND b.last_item_id AND e.workspace_id = b.workspace_id
  AND RIGHT(CAST(e.id AS CHAR), 16) = RIGHT(CAST(b.first_item_id AS CHAR), 16)
WHERE b.accepted IS NOT NULL AND b.expires_ms > CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
GROUP BY b.id, b.accepted
HAVING COUNT(e.id) <> b.accepted
