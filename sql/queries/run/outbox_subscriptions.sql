-- The events that the endpoints of these workspaces ask for.
SELECT workspace_id, BIT_OR(events) AS events FROM webhooks WHERE workspace_id IN ([[?]]) AND enabled = 1 GROUP BY workspace_id
