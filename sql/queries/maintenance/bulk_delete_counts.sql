DELETE FROM bulk_counts WHERE job_id = ?
