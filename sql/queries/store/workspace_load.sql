-- The load of all workspaces, one row for each that has any: runs that can be claimed, the first of them, runs that executors have, runs
-- that wait (parked, or for their start), and the runs accepted since an id, of them those that have ended and failed.
SELECT workspace_id, CAST(SUM(queued) AS SIGNED) AS queued, MIN(first_id) AS first_id, CAST(SUM(running) AS SIGNED) AS running,
  CAST(SUM(waiting) AS SIGNED) AS waiting, CAST(SUM(accepted) AS SIGNED) AS accepted, CAST(SUM(ended) AS SIGNED) AS ended,
  CAST(SUM(failed) AS SIGNED) AS failed
FROM (
  SELECT workspace_id, COUNT(*) AS queued, MIN(id) AS first_id, 0 AS running, 0 AS waiting, 0 AS accepted, 0 AS ended, 0 AS failed
  FROM executions FORCE INDEX (by_turn) WHERE state = 1 AND executor_id = 0 GROUP BY workspace_id
  UNION ALL
  SELECT workspace_id, 0, NULL, COUNT(*), 0, 0, 0, 0
  FROM executions FORCE INDEX (by_turn) WHERE state = 2 AND executor_id > 0 GROUP BY workspace_id
  UNION ALL
  SELECT workspace_id, 0, NULL, 0, COUNT(*), 0, 0, 0 FROM waits GROUP BY workspace_id
  UNION ALL
  SELECT workspace_id, 0, NULL, 0, 0, COUNT(*), SUM(state >= 3), SUM(state = 4) FROM executions WHERE id >= ? GROUP BY workspace_id
) x
GROUP BY workspace_id
