-- How many executors are not marked as lost, and how many are. Rows of lost executors are deleted after a day.
SELECT CAST(COALESCE(SUM(lost_ms IS NULL), 0) AS SIGNED) AS alive, CAST(COALESCE(SUM(lost_ms IS NOT NULL), 0) AS SIGNED) AS lost FROM executors
