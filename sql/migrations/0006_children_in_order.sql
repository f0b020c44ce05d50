-- The children of one run in the order of their creation, for lists.
ALTER TABLE execution_children ADD KEY by_parent_in_order (parent_id, child_id);
