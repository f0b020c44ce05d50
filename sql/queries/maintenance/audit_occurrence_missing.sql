-- A run that a schedule started has its occurrence; its retries have its time only. lib/store/schedule.h writes `extra` of workflows (kind 1) for schedules only.
-- Columns as in audit_active.
SELECT e.id AS subject, 'has a nominal time, but no occurrence' AS detail
FROM executions e
LEFT JOIN schedule_occurrences o ON o.execution_id = e.id
WHERE e.kind = 1 AND e.extra LIKE '{"scheduled_for":%' AND e.retry_of IS NULL AND o.schedule_id IS NULL
