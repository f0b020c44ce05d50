SELECT state FROM webhook_deliveries WHERE webhook_id = ? AND workspace_id = ? AND id = ? FOR UPDATE
