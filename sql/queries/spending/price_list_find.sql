SELECT id FROM price_lists WHERE id = ?
