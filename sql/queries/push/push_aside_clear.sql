DELETE FROM pushes_aside WHERE push_id = ?
