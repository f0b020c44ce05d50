-- What one version of a workflow asks for, and the operator's price. No row if the workflow is archived.
SELECT v.credits, w.price
FROM workflow_versions v
JOIN workflows w ON w.id = v.workflow_id
WHERE v.workflow_id = ? AND v.version = ? AND w.workspace_id = ? AND w.archived_ms IS NULL
