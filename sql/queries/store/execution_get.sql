-- Each column costs MariaDB 2,200 instructions, and a statement with five columns 63,000, because names, types and places of all columns
-- are determined anew for each execution. So the id is not read, which the caller knows, nor what few need: the times, which nearly no
-- execution has (`side_rows` says whether execution_times and execution_retries are to be run), and the state of the trace
-- (execution_trace_state). FORCE INDEX saves the optimizer the comparison with the four indexes that begin with the workspace.
SELECT responder_id, root_id, parent_id, retry_of, kind, source, agentic, version, state, failure_reason, cost,
  refunded, started_ms, ended_ms, updated_ms, purged_ms, tags, metadata, extra, error, trace_context,
  input, output, has_children, side_rows
FROM executions FORCE INDEX (PRIMARY)
WHERE id = ? AND workspace_id = ?
