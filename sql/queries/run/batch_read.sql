SELECT results FROM batches WHERE id = ? AND workspace_id = ?
