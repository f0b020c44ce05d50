/* GET …/events and POST …/events/ticket. Everything is checked here, before the event daemon opens a
 * stream. */
#include <string.h>
#include <talloc.h>

#include "fcgi/forms/form.h"
#include "fcgi/forms/quota_reply.h"
#include "fcgi/forms/wait.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/auth.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "store/event.h"
#include "store/ticket.h"
#include "json/json_write.h"

/* Finds the execution of the path, /executions/{id} or /spaces/{space}/…/{id}. False if the workspace does
 * not have it: the request is rejected. */
static bool find_path_run(struct request *r, struct run_progress *progress)
{
    id execution, space;
    bool in_space = r->path_values[1] != NULL;
    if (!request_path_id(r, in_space, &execution) || (in_space && !request_path_id(r, 0, &space)))
        return false;
    if (in_space && !id_equal(&space, &r->access.workspace_id)) {
        reply_not_found(r);
        return false;
    }
    r->execution_id = execution;
    enum err e = execution_progress(r->app->db, r, &r->access.workspace_id, &execution, progress);
    if (e != OK)
        reply_err(r, e);
    return e == OK;
}

/* The number of the event after which the stream begins; 0: with the first one. */
static bool read_position(struct request *r, const struct run_progress *progress, int *after_r)
{
    enum { DIGITS_MAX = 9 };
    int64_t last;
    if (!form_last_event_id(r, DIGITS_MAX, &last))
        return false;
    *after_r = last < 0 ? 0 : last < progress->last_seq ? (int)last : progress->last_seq;
    return true;
}

int h_execution_events(struct request *r)
{
    struct run_progress run;
    int after;
    if (!find_path_run(r, &run) || !read_position(r, &run, &after))
        return reply_rejected(r);
    if (strcmp(r->method, "HEAD") == 0)
        return reply_bytes(r, 200, "text/event-stream; charset=utf-8", "", 0);
    if (after > 0 && after == run.last_seq && state_is_terminal(run.state))
        return reply_empty(r, 204); /* stops an EventSource from reconnecting */
    return reply_internal(r, "/internal/stream/events?execution=%s&workspace=%s&key=%s&after=%d&streams=%lld",
                          run.execution_id.text, run.workspace_id.text, auth_credential(r)->text, after,
                          wait_streams_max(r));
}

static int reply_ticket_quota(struct request *r)
{
    struct quotas quotas;
    enum err e = quota_read(r->app->db, r, &r->access.workspace_id, r->app->config, &quotas);
    struct quota_excess excess = {QUOTA_TICKETS, quotas.limits[QUOTA_TICKETS]};
    return e == OK ? quota_reply(r, &excess) : reply_err(r, e);
}

int h_execution_ticket(struct request *r)
{
    struct run_progress run;
    char ticket[TICKET_TEXT_SIZE];
    if (!find_path_run(r, &run))
        return reply_rejected(r);
    if (id_is_set(&r->access.session_id)) /* the ticket would outlive the session */
        return reply_problem(
            r, 403, "insufficient_scope",
            "A ticket belongs to an API key; a session of the console opens streams itself.");
    enum err e = ticket_create(r->app->db, r->app->config->cell.name, &run.workspace_id, &run.execution_id,
                               &r->access.key_id, r->app->config->quotas.tickets, ticket);
    if (e == ERR_LIMIT)
        return reply_ticket_quota(r);
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = json_write_new(r);
    json_write_open(w, '{');
    json_write_text(
        w, "url",
        talloc_asprintf(r, "/api/v1/executions/%s/events?ticket=%s", run.execution_id.text, ticket));
    json_write_close(w, '}');
    reply_header(r, "Cache-Control", "no-store");
    return reply_written(r, 201, w);
}
