#include "fcgi/http/slow.h"

#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sched.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "mariadb/db.h"
#include "store/share_limits.h"

static bool try_for(struct request *r, int64_t wait_ms)
{
    const struct app *app = r->app;
    if (!app || !app->shared || !id_is_set(&r->access.workspace_id))
        return true;
    r->took_turn = true;
    if (!slow_share_begin(&app->shared->slow, app->slot, &r->access.workspace_id,
                          (unsigned)app->config->api.workers, request_share_limit(r, QUOTA_SLOW_REQUESTS),
                          wait_ms))
        return false;
    sched_set_long_slices(true);
    return true;
}

bool slow_try(struct request *r)
{
    return try_for(r, SLOW_SHARE_WAIT_MS);
}

bool slow_try_now(struct request *r)
{
    return try_for(r, 0);
}

unsigned request_share_limit(struct request *r, enum quota quota)
{
    struct share_limits *limits = r->app->share_limits;
    if (share_limits_refresh(limits, r->app->db) != OK)
        log_warn("share_limits.refresh_failed", "workspace=%s", r->access.workspace_id.text);
    return (unsigned)share_limits_get(limits, quota, &r->access.workspace_id);
}

/* What the handler has replied is dropped; headers from before it stay. */
static void drop_reply(struct request *r, size_t headers_n)
{
    r->reply = (struct reply){
        .headers = r->reply.headers, .headers_n = headers_n, .headers_capacity = r->reply.headers_capacity};
    r->problem = (struct request_problem){0};
}

/* Rows that statements of this connection have read; -1: not known. */
static int64_t rows_read(const struct request *r)
{
    struct db_rows *read;
    void *ctx = talloc_new(NULL);
    int64_t n = -1;
    if (db_run(r->app->db, ctx, SQL_ROWS_READ, NULL, 0, &read) == OK && read->count == 1)
        n = db_int(read, 0, ROWS_READ_N);
    talloc_free(ctx);
    return n;
}

/* A time alone does not tell a slow read: on a busy host every read takes long, and callers that read little
 * must not wait for each other. */
static int read_in_turn(struct request *r, route_handler *handler, bool was_cut)
{
    struct slow_share *share = &r->app->shared->slow;
    const id *workspace = &r->access.workspace_id;
    int64_t limit_us = r->app->config->api.slow_read_ms * 1000;
    if (!slow_begin(r))
        return r->reply.status;
    int64_t rows = rows_read(r), began_us = clock_boot_us();
    int status = handler(r);
    int64_t took_us = clock_boot_us() - began_us;
    if (took_us >= SLOW_READ_SURE * limit_us ||
        (took_us >= limit_us && (rows < 0 || rows_read(r) - rows >= SLOW_READ_ROWS)))
        slow_share_note_reader(share, workspace, clock_boot_ms());
    else if (was_cut)
        slow_share_note_delayed(share, workspace, clock_boot_ms());
    return status;
}

/* How long a statement of a read may take before it is the read's turn. */
static unsigned first_limit_ms(const struct request *r)
{
    const struct app *app = r->app;
    unsigned limit_ms = (unsigned)app->config->api.slow_read_ms;
    bool delayed = slow_share_is_delayed(&app->shared->slow, &r->access.workspace_id, clock_boot_ms());
    return delayed ? SLOW_READ_SURE * limit_ms : limit_ms;
}

int slow_read(struct request *r, route_handler *handler)
{
    const struct app *app = r->app;
    const id *workspace = &r->access.workspace_id;
    if (!app || !app->shared || !id_is_set(workspace))
        return handler(r);
    if (slow_share_is_reader(&app->shared->slow, workspace, clock_boot_ms()))
        return read_in_turn(r, handler, false);
    size_t headers_n = r->reply.headers_n;
    db_limit_reads(app->db, first_limit_ms(r));
    int status = handler(r);
    bool was_cut = db_was_cut(app->db);
    db_limit_reads(app->db, 0);
    if (!was_cut)
        return status;
    drop_reply(r, headers_n);
    return read_in_turn(r, handler, true);
}

bool slow_begin(struct request *r)
{
    if (slow_try(r))
        return true;
    reply_header(r, "Retry-After", "1");
    reply_problem(r, 429, "concurrency_limited",
                  "The workspace has as many requests with large or slow inputs, or slow reads, in progress "
                  "as it may have.");
    return false;
}

void slow_end(const struct app *app)
{
    sched_set_long_slices(false);
    if (app && app->shared)
        slow_share_end(&app->shared->slow, app->slot);
}
