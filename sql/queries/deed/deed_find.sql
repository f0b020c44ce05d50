SELECT id FROM deeds WHERE id = ?
