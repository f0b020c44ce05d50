-- The packages of all versions after a hash.
SELECT hash
FROM skill_versions
WHERE hash > ?
GROUP BY hash
ORDER BY hash
LIMIT 500
