SELECT program FROM workflow_versions WHERE workflow_id = ? AND version = ?
