-- Locks the whole collection: the check of its total size rests on these locks.
SELECT name, size, sha256 FROM files WHERE workspace_id = ? AND principal_id = ? FOR UPDATE
