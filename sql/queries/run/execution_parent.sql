SELECT parent_id FROM execution_children WHERE root_id = ? AND child_id = ?
