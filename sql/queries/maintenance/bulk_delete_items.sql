DELETE FROM bulk_items WHERE job_id = ? LIMIT 500
