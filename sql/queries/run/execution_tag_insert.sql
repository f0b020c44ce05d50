INSERT INTO execution_tags (workspace_id, tag, execution_id) VALUES {{(?, ?, ?)}}
