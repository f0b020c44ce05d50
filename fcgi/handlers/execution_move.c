/* PATCH /executions/{id}: moves the start of an execution that waits for it. */
#include <string.h>

#include "base/clock.h"
#include "fcgi/forms/execution_reply.h"
#include "fcgi/forms/execution_scope.h"
#include "fcgi/forms/form.h"
#include "fcgi/forms/run_form.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "run/delayed.h"

/* *start_ms_r: a time that has passed is now. */
static bool read_start(struct request *r, int64_t *start_ms_r)
{
    struct run_request times = {0};
    json_object *body;
    if (!request_json(r, &body))
        return false;
    if (!body || (!json_get(body, "start_at") && !json_get(body, "delay_seconds")))
        return form_reject_value(r, "start_at", "given, or delay_seconds");
    if (!form_members_are_known(r, body, "start_at delay_seconds") || !run_form_read_times(r, body, &times))
        return false;
    int64_t now_ms = clock_wall_ms();
    if (times.start_ms > now_ms + DELAYED_SECONDS_MAX * 1000LL)
        return form_reject_value(r, "start_at", "at most 366 days ahead");
    *start_ms_r = times.start_ms > now_ms ? times.start_ms : now_ms;
    return true;
}

int h_execution_move(struct request *r)
{
    struct app *app = r->app;
    struct execution exec;
    int64_t start_ms = 0;
    id run;
    if (!request_path_id(r, 0, &run) || !read_start(r, &start_ms) || !require_execute_scope(r, &run))
        return reply_rejected(r);
    r->execution_id = run;
    enum err e = delayed_move(app->db, app->redis, &r->access.workspace_id, &run, start_ms);
    if (e == ERR_CONFLICT)
        return reply_problem(r, 409, "execution_not_delayed",
                             "The execution does not wait for its start (any more).");
    if (e == OK)
        e = execution_get(app->db, r, &r->access.workspace_id, &run, &exec);
    return e == OK ? execution_reply(r, 200, &exec, false) : reply_err(r, e);
}
