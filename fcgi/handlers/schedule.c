/* GET, POST /schedules; GET, PATCH, DELETE /schedules/{id}; pause, resume, upcoming, occurrences
 * (docs/schedules.md) */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "fcgi/forms/page.h"
#include "fcgi/forms/quota_reply.h"
#include "fcgi/forms/schedule_form.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/schedule_target.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "view/schedule.h"

enum { SCHEDULES_MAX = 1000, UPCOMING_MAX = 1000, UPCOMING_DEFAULT = 10, WRITES_MAX = 5 };

static struct span schedule_body(struct request *r, const struct schedule *s)
{
    struct json_write *w = json_write_new(r);
    struct span body;
    view_schedule(w, s);
    body.at = json_write_result(w, &body.size);
    return body;
}

static int reply_schedule(struct request *r, int status, const struct schedule *s)
{
    struct span body = schedule_body(r, s);
    return reply_json(r, status, body.at, body.size);
}

int h_schedule_list(struct request *r)
{
    id after;
    int64_t limit;
    struct schedule *list;
    size_t n;
    if (!request_query_cursor(r, "after", "a schedule", &after) ||
        !request_query_int(r, "limit", 1, SCHEDULES_MAX, SCHEDULES_MAX, &limit))
        return reply_rejected(r);
    enum err e = schedule_list(r->app->db, r, &r->access.workspace_id, &after, limit + 1, &list, &n);
    if (e != OK)
        return reply_err(r, e);
    struct page page = page_begin(r, "schedules", n, limit);
    for (size_t i = 0; i < page.count; i++)
        view_schedule(page.w, &list[i]);
    return page_reply(r, &page, page.has_more ? list[page.count - 1].id.text : NULL);
}

int h_schedule_get(struct request *r)
{
    struct schedule s;
    return schedule_of_path(r, &s) ? reply_schedule(r, 200, &s) : reply_rejected(r);
}

static int reply_created(struct request *r, const struct schedule_new *c, enum err e,
                         const struct schedule_outcome *o)
{
    if (e == ERR_LIMIT)
        return quota_reply(r, &o->excess);
    if (e != OK)
        return reply_err(r, e);
    if (o->key.state == IDEMPOTENCY_REPLAY)
        return reply_stored_response(r, &o->key.execution_id, &o->key.response);
    if (o->key.state == IDEMPOTENCY_REUSED)
        return reply_key_reused(r);
    return reply_json(r, c->first_response.status, c->first_response.body.at, c->first_response.body.size);
}

int h_schedule_create(struct request *r)
{
    enum { CATCH_UP_DEFAULT_S = 60 };
    struct schedule_new c = {.first_response.status = 201, .config = r->app->config};
    struct schedule_outcome o;
    struct schedule_form form;
    c.schedule = (struct schedule){
        .id = id_new(),
        .workspace_id = r->access.workspace_id,
        .principal_id = r->access.principal_id,
        .key_id = r->access.key_id,
        .kind = KIND_WORKFLOW,
        .timezone = "UTC",
        .overlap = OVERLAP_SKIP,
        .catch_up_s = CATCH_UP_DEFAULT_S,
        .note = "",
    };
    c.schedule.created_ms = c.schedule.updated_ms = id_ms(&c.schedule.id);
    if (!request_idempotency(r, &c.idempotency_key, c.fingerprint))
        return reply_rejected(r);
    if (!schedule_form_read(r, &c.schedule, &form) || !schedule_require_scope(r, &c.schedule) ||
        !schedule_check_target(r, &c.schedule))
        return reject_or_replay(r, c.idempotency_key, c.fingerprint);
    schedule_set_next(&c.schedule, &form.timing, c.schedule.created_ms);
    c.first_response.body = schedule_body(r, &c.schedule);
    enum err e = schedule_create(r->app->db, r, &c, &o);
    return reply_created(r, &c, e, &o);
}

/* A change of a schedule that was read. False: the reply is set, or the request is rejected. */
typedef bool schedule_changer(struct request *r, struct schedule *s);

/* Reads, changes and writes the schedule of the path; again if the scheduler has decided an occurrence in
 * between. */
static int change_schedule(struct request *r, schedule_changer *change)
{
    struct schedule s;
    enum err e = ERR_CONFLICT;
    for (int i = 0; e == ERR_CONFLICT && i < WRITES_MAX; i++) {
        if (!schedule_of_path(r, &s) || !schedule_require_scope(r, &s) || !change(r, &s))
            return reply_rejected(r);
        s.updated_ms = clock_wall_ms();
        e = schedule_write(r->app->db, &s);
    }
    return e == OK ? reply_schedule(r, 200, &s) : reply_err(r, e == ERR_CONFLICT ? ERR_RETRY : e);
}

static bool patch(struct request *r, struct schedule *s)
{
    struct schedule_form form;
    if (!schedule_form_read(r, s, &form) || (form.has_inputs && !schedule_check_target(r, s)))
        return false;
    /* A time that has come is decided before the new times apply, unless the schedule is paused. */
    if (form.retimed && (s->paused != SCHEDULE_RUNS || !schedule_is_pending(s)))
        schedule_set_next(s, &form.timing, s->now_ms);
    return true;
}

int h_schedule_patch(struct request *r)
{
    return change_schedule(r, patch);
}

static bool pause(struct request *r, struct schedule *s)
{
    return schedule_set_paused(r, s, true);
}

int h_schedule_pause(struct request *r)
{
    return change_schedule(r, pause);
}

/* If the schedule's key was revoked, the caller's takes its place. */
static bool resume(struct request *r, struct schedule *s)
{
    if (s->paused == SCHEDULE_PAUSED_KEY_REVOKED)
        schedule_form_own(r, s);
    if (schedule_set_paused(r, s, false))
        return true;
    reply_err(r, ERR_INTERNAL);
    return false;
}

int h_schedule_resume(struct request *r)
{
    return change_schedule(r, resume);
}

int h_schedule_delete(struct request *r)
{
    struct schedule s;
    if (!schedule_of_path(r, &s) || !schedule_require_scope(r, &s))
        return reply_rejected(r);
    enum err e = schedule_delete(r->app->db, &s.workspace_id, &s.id);
    return e == OK ? reply_empty(r, 204) : reply_err(r, e);
}

/* UTC, without milliseconds where there are none: "2027-03-28T01:00:00Z". */
static void write_utc(struct json_write *w, int64_t ms)
{
    enum { MS = 1000 };
    char text[CLOCK_TEXT_SIZE];
    clock_text_z(ms, text);
    const char *dot = strchr(text, '.');
    if (ms % MS == 0 && dot)
        text[dot - text] = 'Z';
    json_write_bytes(w, text, ms % MS == 0 && dot ? (size_t)(dot - text) + 1 : strlen(text));
}

static int reply_upcoming(struct request *r, const struct timing *timing, int64_t at, int64_t count)
{
    struct json_write *w = json_write_new(r);
    json_write_open(w, '{');
    json_write_key(w, "upcoming");
    json_write_open(w, '[');
    for (int64_t i = 0; i < count && (at = timing_next(timing, at)) != TIMING_NEVER; i++)
        write_utc(w, at);
    json_write_close(w, ']');
    json_write_close(w, '}');
    return reply_written(r, 200, w);
}

int h_schedule_upcoming(struct request *r)
{
    struct schedule s;
    struct timing timing;
    int64_t count, at = clock_wall_ms();
    const char *after = request_query(r, "after");
    if (!request_query_int(r, "count", 1, UPCOMING_MAX, UPCOMING_DEFAULT, &count))
        return reply_rejected(r);
    if (after && (at = clock_parse(after)) < 0)
        return reply_problem(r, 400, "invalid_request", "after must be an RFC 3339 date-time.");
    if (!schedule_of_path(r, &s))
        return reply_rejected(r);
    if (!schedule_timing(r, &s, &timing))
        return reply_err(r, ERR_INTERNAL);
    return reply_upcoming(r, &timing, at, count);
}

/* GET /schedules/upcoming: the times of a schedule that is not stored. */
int h_schedule_preview(struct request *r)
{
    struct schedule s = {.timezone = "UTC"};
    struct timing timing;
    int64_t count;
    if (!request_query_int(r, "count", 1, UPCOMING_MAX, UPCOMING_DEFAULT, &count) ||
        !schedule_form_read_query(r, &s, &timing))
        return reply_rejected(r);
    return reply_upcoming(r, &timing, clock_wall_ms(), count);
}

/* The cursor of occurrences is a nominal time in Unix ms. */
static bool read_occurrence_cursor(struct request *r, int64_t *before_ms_r)
{
    enum { DECIMAL = 10 };
    const char *after = request_query(r, "after");
    char *end = NULL;
    *before_ms_r = after ? strtoll(after, &end, DECIMAL) : INT64_MAX;
    if (after && (end == after || *end || *before_ms_r < 0))
        return request_reject(r, 400, "invalid_request", "after must be the next_cursor of a page.");
    return true;
}

int h_schedule_occurrences(struct request *r)
{
    struct schedule s;
    struct occurrence_row *list;
    int64_t limit, before_ms;
    size_t n;
    if (!request_query_int(r, "limit", 1, SCHEDULES_MAX, SCHEDULES_MAX, &limit) ||
        !read_occurrence_cursor(r, &before_ms) || !schedule_of_path(r, &s))
        return reply_rejected(r);
    enum err e = occurrence_list(r->app->db, r, &s.workspace_id, &s.id, before_ms, limit + 1, &list, &n);
    if (e != OK)
        return reply_err(r, e);
    struct page page = page_begin(r, "occurrences", n, limit);
    for (size_t i = 0; i < page.count; i++)
        view_occurrence(page.w, &list[i]);
    return page_reply(r, &page,
                      page.has_more ? talloc_asprintf(r, "%" PRId64, list[page.count - 1].nominal_ms) : NULL);
}
