UPDATE pushes_aside SET again = 1 WHERE push_id = ?
