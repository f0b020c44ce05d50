INSERT INTO execution_payloads (execution_id, input, tags, metadata, extra) VALUES {{(?, ?, ?, ?, ?)}}
