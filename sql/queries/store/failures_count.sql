SELECT COUNT(*) AS n
FROM (SELECT 1 FROM execution_failures FORCE INDEX (PRIMARY) WHERE workspace_id = ? LIMIT 10000) f
