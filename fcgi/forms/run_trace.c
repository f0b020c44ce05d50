#include "fcgi/forms/run_trace.h"

#include <string.h>

#include "base/clock.h"
#include "fcgi/http/app.h"
#include "fcgi/http/request.h"
#include "fcgi/shared/trace_share.h"
#include "otlp/otlp.h"

struct caller {
    struct request *r;
    const struct run_request *req;
};

static bool caller_may(void *arg)
{
    const struct caller *c = arg;
    const struct app *app = c->r->app;
    return trace_share_take(&app->shared->traces, &c->req->workspace_id,
                            (uint32_t)app->config->otlp.caller_runs_per_minute, clock_boot_ms());
}

void run_trace_decide(struct request *r, struct run_request *req)
{
    struct caller caller = {r, req};
    if (trace_is_recorded(&req->trace) ||
        !otlp_decide(r->app->otlp, &req->execution_id, caller_may, &caller, &req->trace))
        return;
    memcpy(req->caller_span, req->trace.span_id, sizeof req->caller_span);
    trace_span_id(&req->execution_id, (struct trace_key){.span = TRACE_SPAN_ACCEPT}, req->trace.span_id);
}

void run_trace_accepted(struct request *r, const struct run_request *req)
{
    if (!trace_is_recorded(&req->trace))
        return;
    int64_t now_us = clock_wall_ms() * 1000;
    struct otlp_span span = {
        .trace = req->trace,
        .kind = OTLP_SERVER,
        .start_us = now_us - (clock_boot_us() - r->began_us),
        .end_us = now_us,
        .workspace_id = req->workspace_id,
        .execution_id = req->execution_id,
    };
    memcpy(span.parent, req->caller_span, sizeof span.parent);
    otlp_set_name(&span, "accept");
    otlp_add_text(&span, "millrace.kind", req->kind == KIND_SKILL ? "skill" : "workflow");
    otlp_add_text(&span, "millrace.retry_of", req->retry_of.text);
    otlp_add_text(&span, "millrace.request_id", r->id);
    otlp_add_text(&span, "http.request.method", r->method);
    otlp_add_number(&span, "http.response.status_code", req->first_response.status);
    otlp_add(r->app->otlp, &span);
}
