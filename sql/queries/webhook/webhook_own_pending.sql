-- Pending deliveries of the own webhooks of workspaces' runs.
SELECT workspace_id AS id, CAST(SUM(pending) AS SIGNED) AS pending FROM webhook_lanes WHERE workspace_id IN ([[?]]) AND webhook_id IS NULL GROUP BY workspace_id
