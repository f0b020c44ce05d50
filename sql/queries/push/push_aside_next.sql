SELECT first, last FROM pushes_aside WHERE push_id = ? AND again = 1 ORDER BY last LIMIT 1
