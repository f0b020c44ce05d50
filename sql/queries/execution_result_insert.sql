INSERT INTO execution_results (execution_id, output, error) VALUES {{(?, ?, ?)}}
