-- Runs that are queued, and rows of waits, as far as one looks: up to a limit of each, so that the answer is quick however many there are.
SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM executions FORCE INDEX (by_turn) WHERE state = 1 AND executor_id = 0 LIMIT ?) AS some_runs) AS queued_n,
  (SELECT COUNT(*) FROM (SELECT 1 FROM waits LIMIT ?) AS some_waits) AS waits_n
