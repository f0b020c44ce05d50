-- Which of these keys are neither revoked nor expired.
SELECT id FROM api_keys WHERE revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?) AND id IN ([[?]])
