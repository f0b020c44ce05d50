DELETE FROM bulk_jobs WHERE id = ?
