-- The program of one version, to be compiled.
SELECT IF(LENGTH(program) > ?, NULL, program) AS program FROM workflow_versions WHERE workflow_id = ? AND version = ?
