INSERT INTO execution_children (root_id, child_id, parent_id, step, item, try) VALUES {{(?, ?, ?, ?, ?, ?)}}
