-- What the artifacts name that purge_artifacts_slice deletes.
-- Columns as in artifact_blobs.
SELECT sha256, size FROM artifacts WHERE execution_id = ? ORDER BY id LIMIT 200
