-- The old ones of the first rows, as many as one transaction removes. The limit stands inside, so that a feed without old rows is not read
-- to its end.
SELECT f.id
FROM (SELECT id, at_ms FROM feed_events WHERE workspace_id = ? AND id IS NOT NULL ORDER BY id LIMIT 500) f
WHERE f.at_ms < CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - ?
ORDER BY f.id
