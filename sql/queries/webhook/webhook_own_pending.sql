-- Pending deliveries of the own webhooks of workspaces' runs. Hosts that have none, of which there may be many, are not read.
SELECT workspace_id AS id, CAST(SUM(pending) AS SIGNED) AS pending
FROM webhook_lanes FORCE INDEX (by_own)
WHERE workspace_id IN ([[?]]) AND webhook_id IS NULL AND pending > 0
GROUP BY workspace_id
