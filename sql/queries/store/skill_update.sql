UPDATE skills SET version = ?, updated_ms = ?, archived_ms = NULL WHERE id = ?
