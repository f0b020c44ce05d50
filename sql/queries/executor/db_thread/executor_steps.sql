-- The steps that earlier attempts of a run have committed, in program order.
SELECT step, item, status, tries, answers, due_ms, timeout_ms, started_ms, result, error, reason
FROM execution_steps
WHERE execution_id = ?
ORDER BY step, item
