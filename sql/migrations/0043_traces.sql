-- The place of an execution in a trace (docs/traces.md). NULL: the trace is that of root_id, and nobody records it.
ALTER TABLE executions
  -- struct trace_context of lib/base/trace.h: 16 bytes of the trace, 8 of the span to which the run belongs, 1 of flags
  ADD COLUMN trace_context VARBINARY(25)  NULL,
  -- the caller's tracestate, passed on unread
  ADD COLUMN trace_state   VARBINARY(512) NULL;
