SELECT state, below_id, matched FROM bulk_jobs WHERE id = ? FOR UPDATE
