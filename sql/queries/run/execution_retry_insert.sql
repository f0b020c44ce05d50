INSERT INTO execution_retries (retry_of, execution_id) VALUES {{(?, ?)}}
