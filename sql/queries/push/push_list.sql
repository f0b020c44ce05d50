SELECT p.id, p.name, p.url, p.kinds, p.auth, p.number, p.paused, p.failures, p.failing_since_ms, p.status, p.error, p.sent_ms, p.sent_rows, p.created_ms,
  (SELECT CAST(COALESCE(SUM(a.n), 0) AS SIGNED) FROM pushes_aside a WHERE a.push_id = p.id) AS aside_rows
FROM pushes p
ORDER BY p.name
