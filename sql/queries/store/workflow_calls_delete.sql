DELETE FROM workflow_calls WHERE workflow_id = ?
