UPDATE workflows SET name = ?, description = ?, version = ?, updated_ms = ? WHERE id = ?
