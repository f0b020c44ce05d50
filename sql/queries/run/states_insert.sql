-- Inserts accepted runs. The state is always `queued`; it is bound, so that only lib/run/states.h knows its number.
-- `room` is given up when the run's own times and result come (states_write.sql).
INSERT INTO executions (id, workspace_id, responder_id, principal_id, key_id, root_id, parent_id, retry_of, kind, source,
  agentic, depth, version, state, executor_id, last_seq, cost, held, updated_ms, deadline_ms, input, tags, metadata, extra, webhook_events, webhook_url,
  trace_context, trace_state, side_rows, room)
VALUES {{(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, REPEAT('-', 96))}}
