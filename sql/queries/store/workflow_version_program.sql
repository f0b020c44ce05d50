SELECT v.program
FROM workflow_versions v
JOIN workflows w ON w.id = v.workflow_id
WHERE v.workflow_id = ? AND v.version = ? AND w.workspace_id = ?
