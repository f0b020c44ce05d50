UPDATE workflows SET name = ?, description = ?, version = ?, updated_ms = ?, tool = ? WHERE id = ?
