SELECT execution_id FROM execution_retries WHERE retry_of = ? ORDER BY execution_id DESC LIMIT 100
