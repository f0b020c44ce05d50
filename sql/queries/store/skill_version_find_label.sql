SELECT version, hash FROM skill_versions WHERE skill_id = ? AND label = ?
