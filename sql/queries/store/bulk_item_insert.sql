INSERT INTO bulk_items (job_id, execution_id) VALUES {{(?, ?)}}
