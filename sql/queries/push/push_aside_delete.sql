DELETE FROM pushes_aside WHERE push_id = ? AND last = ?
