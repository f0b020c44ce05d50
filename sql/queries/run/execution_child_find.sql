SELECT child_id FROM execution_children WHERE parent_id = ? AND step = ? AND item = ? AND try = ?
