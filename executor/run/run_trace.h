/* The trace of a run (docs/traces.md): what its requests and its children get of it. Loop thread only. */
#pragma once

#include "base/trace.h"
#include "workflow/http_request.h"

struct otlp;

enum { TRACE_HEADERS_MAX = 2 };

/* The place of a run in a trace. */
struct run_trace {
    /* NULL: no spans are exported; borrowed */
    struct otlp *otlp;
    id execution_id, workspace_id;
    struct trace_context context;
    /* the tracestate; NULL: none; borrowed */
    const char *state;
    /* spans of steps exported so far */
    int spans_n;
};

/* Puts the child below the span `key` of the run; texts are of ctx. A trace that is only that of its root,
 * and that nobody records, is not stored again. */
void run_trace_child(const struct run_trace *t, struct trace_key key, void *ctx,
                     struct trace_context *trace_r, struct span *state_r);
/* The headers traceparent and tracestate of a request below the span `key`, of ctx. Returns how many. */
size_t run_trace_headers(void *ctx, const struct run_trace *t, struct trace_key key,
                         struct http_header headers_r[TRACE_HEADERS_MAX]);
/* True: no caller has sent a trace, and it is not recorded here. */
bool run_trace_is_undecided(const struct run_trace *t);

/* --- spans; without effect unless the trace is recorded --- */

/* The run begins for the first time: it has waited in the queue until now. */
void run_trace_begin(const struct run_trace *t);
/* What the span of a run says at its end, which is now. */
struct run_trace_end {
    /* wall time, in milliseconds */
    int64_t start_ms;
    /* words; NULL: none */
    const char *kind, *failed_step, *reason;
    const id *responder_id;
    int attempt;
};
void run_trace_end(const struct run_trace *t, const struct run_trace_end *end);
/* A span of a step, or of one of its tries. Beyond RUN_SPANS_MAX of a run in memory none is exported. */
enum { RUN_SPANS_MAX = 512 };
struct run_span {
    struct trace_key key;
    /* the span above */
    struct trace_key above;
    /* of the program: what names it */
    const char *step, *type;
    /* wall time, in milliseconds; it ends now */
    int64_t start_ms;
    bool is_request, failed;
    /* if failed; NULL: none */
    const char *reason;
    /* 0: none */
    int status;
};
void run_trace_span(struct run_trace *t, const struct run_span *span);
