-- The program of one version, to be compiled.
SELECT program FROM workflow_versions WHERE workflow_id = ? AND version = ?
