/* GET, POST /budgets; GET, PATCH, DELETE /budgets/{id} */
#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "fcgi/forms/form.h"
#include "fcgi/forms/once_reply.h"
#include "fcgi/forms/page.h"
#include "fcgi/forms/quota_reply.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "spending/budget_store.h"
#include "json/json_write.h"

static void write_budget(struct json_write *w, const struct spending_budget *b)
{
    const struct budget_row *row = &b->row;
    bool ends = row->current.end_ms != PERIOD_NEVER;
    json_write_open(w, '{');
    json_write_id(w, "id", &row->id);
    json_write_text(w, "scope", budget_scope_name(row->scope));
    json_write_key(w, "target");
    if (row->target.size > 0)
        json_write_bytes(w, row->target.at, row->target.size);
    else
        json_write_null(w);
    json_write_text(w, "period", period_name(row->period));
    json_write_credits(w, "limit", row->limit);
    json_write_key(w, "soft_percent");
    if (row->soft_percent > 0)
        json_write_number(w, row->soft_percent);
    else
        json_write_null(w);
    json_write_credits(w, "used", row->used);
    json_write_credits(w, "remaining", row->used < row->limit ? row->limit - row->used : 0);
    json_write_text(w, "level", budget_level_name(row));
    json_write_time(w, "started_at", ends ? row->current.start_ms : b->created_ms, false);
    json_write_time(w, "reset_at", ends ? row->current.end_ms : 0, false);
    json_write_time(w, "created_at", b->created_ms, false);
    json_write_time(w, "updated_at", b->updated_ms, false);
    json_write_close(w, '}');
}

/* Replies with the budget as it is stored. */
static int reply_budget(struct request *r, int status, const id *budget)
{
    struct spending_budget b;
    enum err e = budget_get(r->app->db, r, &r->access.workspace_id, budget, &b);
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = json_write_new(r);
    write_budget(w, &b);
    return reply_written(r, status, w);
}

/* --- the body --- */

/* The number is read as it was sent: a double would not keep its decimals. */
static bool read_limit(struct request *r, json_object *body, struct budget_change *c)
{
    struct span raw = form_raw_member(r, body, "limit");
    if (!json_object_object_get_ex(body, "limit", NULL))
        return true;
    c->has_limit = true;
    return (raw.at && credits_parse(talloc_strndup(r, raw.at, raw.size), &c->limit) && c->limit >= 0 &&
            c->limit <= BUDGET_LIMIT_MAX) ||
           form_reject_value(r, "limit",
                             "a number of credits from 0 to 1000000000, without an exponent and with "
                             "at most six decimals");
}

static bool read_soft_percent(struct request *r, json_object *body, struct budget_change *c)
{
    json_object *value;
    c->has_soft = json_object_object_get_ex(body, "soft_percent", &value);
    c->soft_percent = 0;
    if (!value)
        return true;
    int64_t percent = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0;
    c->soft_percent = (int)percent;
    return (percent >= BUDGET_SOFT_MIN && percent <= BUDGET_SOFT_MAX) ||
           form_reject_value(r, "soft_percent", "null or an integer from 1 to 99");
}

static bool read_body(struct request *r, const char *members, json_object **body_r, struct budget_change *c)
{
    if (!request_json(r, body_r))
        return false;
    if (!*body_r)
        return form_reject_value(r, "The body", "a JSON object");
    return form_members_are_known(r, *body_r, members) && read_limit(r, *body_r, c) &&
           read_soft_percent(r, *body_r, c);
}

static bool read_target(struct request *r, json_object *body, struct budget_row *row)
{
    const char *scope = json_plain(json_get(body, "scope")), *period = json_plain(json_get(body, "period"));
    json_object *target = json_get(body, "target");
    struct span text = json_span(target);
    row->scope = scope ? budget_scope_from_name(scope) : 0;
    if (row->scope == 0)
        return form_reject_value(r, "scope", "workspace, key, principal, responder or tag");
    row->period = period ? period_from_name(period) : 0;
    if (row->period == 0)
        return form_reject_value(r, "period", "day, month or total");
    if (target && !text.at)
        return form_reject_value(r, "target", "a string");
    const char *problem = budget_read_target(r, row->scope, text.at, text.size, &row->target);
    return !problem || form_reject_value(r, "target", problem);
}

/* --- the handlers --- */

static enum err respond_created(struct db_tx *tx, struct once *o)
{
    const struct budget_row *row = o->arg;
    struct spending_budget b;
    struct json_write *w = json_write_new(o->ctx);
    enum err e = budget_get(tx->db, o->ctx, &row->workspace_id, &row->id, &b);
    if (e != OK)
        return e;
    write_budget(w, &b);
    return once_respond(o, w);
}

static int reply_creation(struct request *r, const struct once *once, enum err e, int64_t quota)
{
    const struct budget_row *row = once->arg;
    switch (e) {
    case OK:
        return once_reply(r, once);
    case ERR_CONFLICT:
        return reply_problem(r, 409, "budget_exists", "There is a budget of this scope, target and period.");
    case ERR_DENIED:
        return reply_problem(r, 409, "budget_limit",
                             "More than %d budgets would apply to a run without tags.",
                             BUDGETS_WITHOUT_TAG_MAX);
    case ERR_INVALID:
        return reply_problem(r, 422, "budget_target_unknown", "The workspace has no such %s.",
                             budget_scope_name(row->scope));
    case ERR_LIMIT:
        return quota_reply(r, &(struct quota_excess){QUOTA_BUDGETS, quota});
    default:
        return reply_err(r, e);
    }
}

int h_budget_create(struct request *r)
{
    struct budget_change c = {0};
    struct budget_row row = {.id = id_new(), .workspace_id = r->access.workspace_id};
    struct quotas quotas;
    struct once once = {.respond = respond_created, .arg = &row};
    json_object *body;
    if (!once_read(r, &once, 201))
        return reply_rejected(r);
    if (!read_body(r, "scope target period limit soft_percent", &body, &c) || !read_target(r, body, &row) ||
        (!c.has_limit && !form_reject_value(r, "limit", "a number of credits")))
        return once_reject(r, &once);
    row.limit = c.limit;
    row.soft_percent = c.soft_percent;
    enum err e = quota_read(r->app->db, r, &r->access.workspace_id, r->app->config, &quotas);
    if (e != OK)
        return reply_err(r, e);
    e = budget_create(r->app->db, &row, quotas.limits[QUOTA_BUDGETS], false, &once);
    return reply_creation(r, &once, e, quotas.limits[QUOTA_BUDGETS]);
}

int h_budget_list(struct request *r)
{
    id after;
    int64_t limit;
    struct spending_budget *list;
    size_t n;
    if (!request_query_cursor(r, "after", "a budget", &after) ||
        !request_query_int(r, "limit", 1, BUDGETS_LIST_MAX, BUDGETS_LIST_MAX, &limit))
        return reply_rejected(r);
    enum err e = budget_list(r->app->db, r, &r->access.workspace_id, &after, limit + 1, &list, &n);
    if (e != OK)
        return reply_err(r, e);
    struct page page = page_begin(r, "budgets", n, limit);
    for (size_t i = 0; i < page.count; i++)
        write_budget(page.w, &list[i]);
    return page_reply(r, &page, page.has_more ? list[page.count - 1].row.id.text : NULL);
}

int h_budget_get(struct request *r)
{
    id budget;
    return request_path_id(r, 0, &budget) ? reply_budget(r, 200, &budget) : reply_rejected(r);
}

int h_budget_patch(struct request *r)
{
    struct budget_change c = {0};
    json_object *body;
    id budget;
    if (!request_path_id(r, 0, &budget) || !read_body(r, "limit soft_percent", &body, &c))
        return reply_rejected(r);
    enum err e = budget_change(r->app->db, &r->access.workspace_id, &budget, &c);
    return e == OK ? reply_budget(r, 200, &budget) : reply_err(r, e);
}

int h_budget_delete(struct request *r)
{
    id budget;
    if (!request_path_id(r, 0, &budget))
        return reply_rejected(r);
    enum err e = budget_delete(r->app->db, &r->access.workspace_id, &budget);
    return e == OK ? reply_empty(r, 204) : reply_err(r, e);
}
