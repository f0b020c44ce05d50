SELECT CAST(MAX(version) AS SIGNED) AS version FROM skill_versions WHERE skill_id = ?
