#include "executor/run/run_trace.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "otlp/otlp.h"

bool run_trace_is_undecided(const struct run_trace *t)
{
    return !trace_has_span(&t->context) && t->context.flags == 0;
}

void run_trace_child(const struct run_trace *t, struct trace_key key, void *ctx,
                     struct trace_context *trace_r, struct span *state_r)
{
    if (run_trace_is_undecided(t))
        return;
    *trace_r = trace_below(&t->context, &t->execution_id, key);
    *state_r = span_text(t->state ? talloc_strdup(ctx, t->state) : NULL);
}

size_t run_trace_headers(void *ctx, const struct run_trace *t, struct trace_key key,
                         struct http_header headers_r[TRACE_HEADERS_MAX])
{
    struct trace_context below = trace_below(&t->context, &t->execution_id, key);
    char *text = talloc_array(ctx, char, TRACE_PARENT_TEXT);
    trace_parent_text(&below, text);
    headers_r[0] = (struct http_header){"traceparent", text};
    if (!t->state)
        return 1;
    headers_r[1] = (struct http_header){"tracestate", t->state};
    return 2;
}

/* --- spans --- */

static struct otlp_span new_span(const struct run_trace *t, struct trace_key key, int64_t start_ms)
{
    struct otlp_span span = {
        .trace = t->context,
        .kind = OTLP_INTERNAL,
        .start_us = start_ms * 1000,
        .end_us = clock_wall_ms() * 1000,
        .workspace_id = t->workspace_id,
        .execution_id = t->execution_id,
    };
    trace_span_id(&t->execution_id, key, span.trace.span_id);
    return span;
}

void run_trace_begin(const struct run_trace *t)
{
    if (!t->otlp || !trace_is_recorded(&t->context))
        return;
    struct otlp_span span =
        new_span(t, (struct trace_key){.span = TRACE_SPAN_QUEUE}, id_ms(&t->execution_id));
    memcpy(span.parent, t->context.span_id, sizeof span.parent);
    otlp_set_name(&span, "queue");
    otlp_add(t->otlp, &span);
}

void run_trace_end(const struct run_trace *t, const struct run_trace_end *end)
{
    if (!t->otlp || !trace_is_recorded(&t->context))
        return;
    struct otlp_span span = new_span(t, (struct trace_key){.span = TRACE_SPAN_RUN}, end->start_ms);
    memcpy(span.parent, t->context.span_id, sizeof span.parent);
    otlp_set_name(&span, "run");
    span.failed = end->reason != NULL;
    otlp_set_reason(&span, end->reason);
    otlp_add_text(&span, "millrace.kind", end->kind);
    otlp_add_text(&span, "millrace.responder_id", end->responder_id->text);
    otlp_add_text(&span, "millrace.step", end->failed_step);
    otlp_add_number(&span, "millrace.attempt", end->attempt);
    otlp_add(t->otlp, &span);
}

void run_trace_span(struct run_trace *t, const struct run_span *s)
{
    if (!t->otlp || !trace_is_recorded(&t->context) || t->spans_n >= RUN_SPANS_MAX)
        return;
    t->spans_n++;
    struct otlp_span span = new_span(t, s->key, s->start_ms);
    trace_span_id(&t->execution_id, s->above, span.parent);
    span.kind = s->is_request ? OTLP_CLIENT : OTLP_INTERNAL;
    span.failed = s->failed;
    otlp_set_name(&span, s->step);
    otlp_set_reason(&span, s->reason);
    otlp_add_text(&span, "millrace.step_type", s->type);
    if (s->key.item >= 0 && s->key.span == TRACE_SPAN_TRY)
        otlp_add_number(&span, "millrace.item", s->key.item);
    if (s->key.span == TRACE_SPAN_TRY)
        otlp_add_number(&span, "millrace.try", s->key.try);
    if (s->status)
        otlp_add_number(&span, "http.response.status_code", s->status);
    otlp_add(t->otlp, &span);
}
