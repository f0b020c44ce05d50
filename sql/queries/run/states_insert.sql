-- New runs, all of them queued (the state is bound, see lib/run/states.h).
INSERT INTO executions (id, workspace_id, responder_id, principal_id, key_id, root_id, parent_id, retry_of, kind, source,
  agentic, depth, version, state, last_seq, cost, updated_ms, deadline_ms, input, tags, metadata, extra)
VALUES {{(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)}}
