-- The newest 10,000 failed runs, grouped. Reason and step are the same in all rows of a hash. Of the responders, five at most:
-- each as its kind, a digit, and its id.
SELECT f.hash, COUNT(*) AS n, MIN(f.ended_ms) AS first_ms, MAX(f.ended_ms) AS last_ms, MAX(f.execution_id) AS newest_id,
  MAX(f.reason) AS reason, MAX(f.step) AS step, COUNT(DISTINCT f.responder_id) AS responders_n,
  GROUP_CONCAT(DISTINCT CONCAT(f.kind, CAST(f.responder_id AS CHAR)) SEPARATOR '' LIMIT 5) AS responders
FROM (SELECT hash, ended_ms, execution_id, reason, step, kind, responder_id
      FROM execution_failures FORCE INDEX (PRIMARY)
      WHERE workspace_id = ?
      ORDER BY execution_id DESC
      LIMIT 10000) f
GROUP BY f.hash
ORDER BY n DESC, newest_id DESC
LIMIT ?
