-- What these runs' artifacts name.
SELECT sha256, size FROM artifacts WHERE execution_id IN ([[?]])
