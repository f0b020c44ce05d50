INSERT INTO workflow_calls (workflow_id, child_id) VALUES {{(?, ?)}}
