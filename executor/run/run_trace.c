#include "executor/run/run_trace.h"

#include <talloc.h>

bool run_trace_is_undecided(const struct active_run *run)
{
    return !trace_has_span(&run->trace) && run->trace.flags == 0;
}

void run_trace_child(const struct active_run *run, struct trace_key key, void *ctx,
                     struct trace_context *trace_r, struct span *state_r)
{
    if (run_trace_is_undecided(run))
        return;
    *trace_r = trace_below(&run->trace, &run->row.id, key);
    *state_r = span_text(run->trace_state ? talloc_strdup(ctx, run->trace_state) : NULL);
}

size_t run_trace_headers(void *ctx, const struct active_run *run, struct trace_key key,
                         struct http_header headers_r[TRACE_HEADERS_MAX])
{
    struct trace_context below = trace_below(&run->trace, &run->row.id, key);
    char *text = talloc_array(ctx, char, TRACE_PARENT_TEXT);
    trace_parent_text(&below, text);
    headers_r[0] = (struct http_header){"traceparent", text};
    if (!run->trace_state)
        return 1;
    headers_r[1] = (struct http_header){"tracestate", run->trace_state};
    return 2;
}
