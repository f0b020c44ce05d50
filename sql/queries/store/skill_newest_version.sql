SELECT CAST(MAX(version) AS SIGNED) FROM skill_versions WHERE skill_id = ?
