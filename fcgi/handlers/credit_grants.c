/* GET, POST /credits/grants */
#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "fcgi/forms/form.h"
#include "fcgi/forms/page.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "store/credit.h"
#include "json/json_write.h"

enum { LIMIT_MAX = 100, LIMIT_DEFAULT = 20 };

static void write_grant(struct json_write *w, const struct credit_grant_row *row)
{
    const struct grant *g = &row->grant;
    json_write_open(w, '{');
    json_write_id(w, "id", &g->id);
    json_write_text(w, "status", credit_grant_status_name(row->status));
    json_write_credits(w, "credits", g->amount);
    json_write_credits(w, "remaining", g->remaining);
    json_write_text(w, "category", credit_category_name(g->category));
    json_write_int(w, "priority", g->priority);
    json_write_time(w, "effective_from", g->effective_ms, false);
    json_write_time(w, "expires_at", g->expires_ms, false);
    json_write_time(w, "created_at", g->created_ms, false);
    json_write_time(w, "ended_at", g->ended_ms, false);
    json_write_id(w, "refund_of", &g->refund_of);
    json_write_text(w, "reference", row->reference);
    json_write_text(w, "note", g->note);
    json_write_close(w, '}');
}

int h_credits_grants(struct request *r)
{
    const char *text = request_query(r, "status");
    enum credit_grant_status status = text ? credit_grant_status_find(text) : 0;
    id after;
    int64_t limit;
    struct credit_grant_row *list;
    size_t n;
    if (text && status == 0)
        form_reject_value(r, "status", "scheduled, active, used, expired or voided");
    if ((text && status == 0) || !request_query_cursor(r, "after", "a grant", &after) ||
        !request_query_int(r, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit))
        return reply_rejected(r);
    enum err e =
        credit_grants_page(r->app->db, r, &r->access.workspace_id, status, &after, limit + 1, &list, &n);
    if (e != OK)
        return reply_err(r, e);
    struct page page = page_begin(r, "grants", n, limit);
    for (size_t i = 0; i < page.count; i++)
        write_grant(page.w, &list[i]);
    return page_reply(r, &page, page.has_more ? list[page.count - 1].grant.id.text : NULL);
}

/* --- POST --- */

static bool read_text(struct request *r, json_object *body, const char *name, size_t max, const char **text_r)
{
    json_object *value = json_get(body, name);
    *text_r = json_plain(value);
    size_t size = *text_r ? strlen(*text_r) : 0;
    return !value || (size > 0 && size <= max) ||
           form_reject_value(r, name,
                             talloc_asprintf(r, "a string of 1 to %zu bytes without a NUL character", max));
}

static bool read_time(struct request *r, json_object *body, const char *name, int64_t *ms_r)
{
    json_object *value = json_get(body, name);
    const char *text = json_plain(value);
    *ms_r = text ? clock_parse(text) : 0;
    return !value || (text && *ms_r > 0) || form_reject_value(r, name, "a date or date-time (RFC 3339)");
}

/* The digits of the number as they were sent, because a double cannot hold all amounts. */
static bool read_credits(struct request *r, json_object *body, int64_t *micro_r)
{
    json_object *value = json_get(body, "credits");
    bool is_number =
        json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double);
    return (is_number && credits_parse_json(json_text(value, NULL), micro_r) && *micro_r > 0) ||
           form_reject_value(r, "credits", "a number above 0 with at most six decimals");
}

static bool read_category(struct request *r, json_object *body, enum grant_category *category_r)
{
    json_object *value = json_get(body, "category");
    const char *name = json_plain(value);
    if (value)
        *category_r = name ? credit_category_find(name) : 0;
    return *category_r != 0 || form_reject_value(r, "category", "paid or promotional");
}

static bool read_priority(struct request *r, json_object *body, int *priority_r)
{
    json_object *value = json_get(body, "priority");
    int64_t number = value ? json_object_get_int64(value) : *priority_r;
    *priority_r = (int)number;
    return (!value || json_object_is_type(value, json_type_int)) && number >= 0 &&
                   number <= GRANT_PRIORITY_MAX
               ? true
               : form_reject_value(r, "priority", "an integer from 0 to 100");
}

static bool read_grant(struct request *r, struct credit_grant *g)
{
    json_object *body;
    if (!request_json(r, &body))
        return false;
    if (!body)
        return form_reject_value(r, "The body", "a JSON object");
    return form_members_are_known(r, body,
                                  "credits category priority effective_from expires_at reference note") &&
           read_credits(r, body, &g->micro) && read_category(r, body, &g->category) &&
           read_priority(r, body, &g->priority) && read_time(r, body, "effective_from", &g->effective_ms) &&
           read_time(r, body, "expires_at", &g->expires_ms) &&
           read_text(r, body, "reference", CREDIT_REFERENCE_MAX, &g->reference) &&
           read_text(r, body, "note", CREDIT_REASON_MAX, &g->reason);
}

static struct stored_response respond(void *ctx, const struct credit_grant_row *row, bool is_new)
{
    struct json_write *w = json_write_new(ctx);
    size_t size;
    write_grant(w, row);
    const char *body = json_write_result(w, &size);
    return (struct stored_response){.status = is_new ? 201 : 200, .body = {body, size}};
}

static int reply_granted(struct request *r, enum err e, const struct credit_grant_outcome *made)
{
    char credits[CREDITS_TEXT_SIZE];
    if (made->key.state == IDEMPOTENCY_REPLAY)
        return reply_stored_response(r, &made->key.execution_id, &made->key.response);
    if (made->key.state == IDEMPOTENCY_REUSED)
        return reply_key_reused(r);
    if (e == ERR_CONFLICT)
        return reply_problem(
            r, 409, "reference_used",
            "The reference was used before for another grant, %s, of %s credits. Nothing was changed.",
            made->row.grant.id.text, credits_text(made->row.grant.amount, credits));
    if (e == ERR_LIMIT)
        return reply_problem(
            r, 422, "balance_limit",
            "The workspace cannot have, or be granted in a month, so many credits, or has 1,000 "
            "open grants.");
    if (e == ERR_INVALID)
        return reply_problem(r, 400, "invalid_request",
                             "expires_at must be later than now and than effective_from.");
    if (e != OK)
        return reply_err(r, e);
    struct stored_response response = respond(r, &made->row, made->is_new);
    return reply_json(r, response.status, response.body.at, response.body.size);
}

int h_credits_grant(struct request *r)
{
    struct credit_grant g = {.workspace_id = r->access.workspace_id,
                             .grant_id = id_new(),
                             .category = GRANT_PAID,
                             .priority = GRANT_PRIORITY_DEFAULT,
                             .respond = respond};
    struct credit_grant_outcome made;
    if (!request_idempotency(r, &g.idempotency_key, g.fingerprint))
        return reply_rejected(r);
    if (!read_grant(r, &g))
        return reject_or_replay(r, g.idempotency_key, g.fingerprint);
    enum err e = credit_grant(r->app->db, r->app->redis, r, &g, &made);
    return reply_granted(r, e, &made);
}
