-- The collection as a whole: what it weighs is decided under these locks.
SELECT name, size, sha256 FROM files WHERE workspace_id = ? AND principal_id = ? FOR UPDATE
