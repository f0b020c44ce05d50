/* The trace of a run (docs/traces.md): what its requests and its children get of it. Loop thread only. */
#pragma once

#include "executor/run/active_run.h"
#include "workflow/http_request.h"

enum { TRACE_HEADERS_MAX = 2 };

/* Puts the child below the span `key` of the run; texts are of ctx. A trace that is only that of its root,
 * and that nobody records, is not stored again. */
void run_trace_child(const struct active_run *run, struct trace_key key, void *ctx,
                     struct trace_context *trace_r, struct span *state_r);
/* The headers traceparent and tracestate of a request below the span `key`, of ctx. Returns how many. */
size_t run_trace_headers(void *ctx, const struct active_run *run, struct trace_key key,
                         struct http_header headers_r[TRACE_HEADERS_MAX]);
/* True: no caller has sent a trace, and it is not recorded here. */
bool run_trace_is_undecided(const struct active_run *run);
