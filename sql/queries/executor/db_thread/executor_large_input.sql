-- The inputs of a run that executor_inputs has left out.
SELECT input FROM executions WHERE id = ?
