/* GET /credits, /credits/usage, /credits/statement, /credits/ledger */
#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/clock.h"
#include "base/field.h"
#include "billing/roll_up.h"
#include "billing/statement_print.h"
#include "fcgi/forms/form.h"
#include "fcgi/forms/page.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "store/credit.h"
#include "store/usage.h"
#include "json/json.h"
#include "json/json_write.h"

enum { LIMIT_MAX = 100, LIMIT_DEFAULT = 20, DAYS_DEFAULT = 30, DAYS_MAX = 366 };
static const int64_t day_ms = 86400000;

struct usage_form {
    int64_t from_ms, to_ms;
    enum usage_group group;
};

static const char *const group_names[] = {"day", "responder", "key"};
static const char *const group_columns[] = {"day", "responder_id", "key_id"};

int h_credits_get(struct request *r)
{
    int64_t balance;
    enum err e = credit_balance(r->app->db, &r->access.workspace_id, &balance);
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = json_write_new(r);
    json_write_open(w, '{');
    json_write_credits(w, "balance", balance);
    json_write_close(w, '}');
    return reply_written(r, 200, w);
}

/* --- usage --- */

static bool read_usage_time(struct request *r, const char *name, int64_t default_ms, int64_t *ms_r)
{
    const char *text = request_query(r, name);
    *ms_r = text ? clock_parse(text) : default_ms;
    return *ms_r >= 0 || form_reject_value(r, name, "a date or date-time (RFC 3339)");
}

/* The default range is the last thirty days including today, in whole days (UTC). */
static bool read_usage_form(struct request *r, struct usage_form *f)
{
    const char *group = request_query(r, "group_by");
    int64_t midnight_ms = (clock_wall_ms() / day_ms + 1) * day_ms;
    int g = 0;
    while (group && g < 3 && strcmp(group, group_names[g]) != 0)
        g++;
    if (g == 3)
        return form_reject_value(r, "group_by", "day, responder or key");
    f->group = (enum usage_group)g;
    if (!read_usage_time(r, "to", midnight_ms, &f->to_ms) ||
        !read_usage_time(r, "from", f->to_ms > DAYS_DEFAULT * day_ms ? f->to_ms - DAYS_DEFAULT * day_ms : 0,
                         &f->from_ms))
        return false;
    if (f->from_ms >= f->to_ms)
        return form_reject_value(r, "from", "earlier than to");
    if (f->to_ms - f->from_ms > DAYS_MAX * day_ms)
        return form_reject_value(r, "from", "at most 366 days before to");
    return true;
}

/* The label of a row's group: a date such as "2026-11-22", an id, or NULL. */
static const char *group_text(const struct usage_form *f, const struct usage_row *row,
                              char out[CLOCK_TEXT_SIZE])
{
    if (f->group == USAGE_BY_DAY) {
        clock_text_z(row->day_ms, out);
        out[strlen("2026-11-22")] = '\0';
        return out;
    }
    const id *i = f->group == USAGE_BY_RESPONDER ? &row->responder_id : &row->key_id;
    return id_is_set(i) ? i->text : NULL;
}

static void write_sums(struct json_write *w, const struct usage_row *row)
{
    json_write_int(w, "runs", row->runs);
    json_write_credits(w, "debited", row->debited);
    json_write_credits(w, "refunded", row->refunded);
    json_write_credits(w, "used", row->debited - row->refunded);
}

static int reply_usage_json(struct request *r, const struct usage_form *f, const struct usage_row *list,
                            size_t n)
{
    struct usage_row total = {0};
    char text[CLOCK_TEXT_SIZE];
    struct json_write *w = json_write_new(r);
    json_write_open(w, '{');
    json_write_text(w, "from", clock_text_offset(f->from_ms, text));
    json_write_text(w, "to", clock_text_offset(f->to_ms, text));
    json_write_text(w, "group_by", group_names[f->group]);
    json_write_key(w, "usage");
    json_write_open(w, '[');
    for (size_t i = 0; i < n; i++) {
        json_write_open(w, '{');
        json_write_text(w, group_columns[f->group], group_text(f, &list[i], text));
        write_sums(w, &list[i]);
        json_write_close(w, '}');
        total.runs += list[i].runs;
        total.debited += list[i].debited;
        total.refunded += list[i].refunded;
    }
    json_write_close(w, ']');
    json_write_key(w, "total");
    json_write_open(w, '{');
    write_sums(w, &total);
    json_write_close(w, '}');
    json_write_close(w, '}');
    return reply_written(r, 200, w);
}

static int reply_usage_csv(struct request *r, const struct usage_form *f, const struct usage_row *list,
                           size_t n)
{
    char *csv = talloc_asprintf(r, "%s,runs,debited,refunded,used\r\n", group_columns[f->group]);
    for (size_t i = 0; i < n; i++) {
        const struct usage_row *row = &list[i];
        char text[CLOCK_TEXT_SIZE], debited[CREDITS_TEXT_SIZE], refunded[CREDITS_TEXT_SIZE],
            used[CREDITS_TEXT_SIZE];
        const char *group = group_text(f, row, text);
        csv = talloc_asprintf_append_buffer(csv, "%s,%lld,%s,%s,%s\r\n", group ? group : "",
                                            (long long)row->runs, credits_text(row->debited, debited),
                                            credits_text(row->refunded, refunded),
                                            credits_text(row->debited - row->refunded, used));
    }
    reply_header(r, "Content-Disposition", "attachment; filename=\"usage.csv\"");
    return reply_bytes(r, 200, "text/csv; charset=utf-8; header=present", csv, strlen(csv));
}

/* JSON unless the client accepts this type with a greater weight, or names it while it accepts JSON by a
 * wildcard. */
static bool prefers(struct request *r, const char *type, const char *subtype)
{
    const char *accept = request_list(r, "HTTP_ACCEPT");
    if (!accept)
        return false;
    struct field_match other = field_match_media(r, accept, type, subtype);
    struct field_match json = field_match_media(r, accept, "application", "json");
    if (other.weight == 0 || other.weight != json.weight)
        return other.weight > json.weight;
    return other.specificity > json.specificity;
}

/* Of what is rolled up, only whole days are known. */
static bool is_known(struct request *r, const struct usage_form *f, const id *before)
{
    int64_t before_ms = id_is_set(before) ? id_ms(before) : 0;
    if (f->from_ms < before_ms && f->from_ms % day_ms != 0)
        return form_reject_value(r, "from", "midnight (UTC), because older entries are rolled up by day");
    if (f->to_ms < before_ms && f->to_ms % day_ms != 0)
        return form_reject_value(r, "to", "midnight (UTC), because older entries are rolled up by day");
    return true;
}

int h_credits_usage(struct request *r)
{
    struct usage_form f = {0};
    struct usage_row *list;
    size_t n;
    if (!read_usage_form(r, &f))
        return reply_rejected(r);
    id before;
    enum err e = rolled_up_before(r->app->db, &r->access.workspace_id, &before);
    if (e != OK)
        return reply_err(r, e);
    if (!is_known(r, &f, &before))
        return reply_rejected(r);
    e = usage_read(r->app->db, r, &r->access.workspace_id, f.from_ms, f.to_ms, f.group, &list, &n);
    if (e != OK)
        return reply_err(r, e);
    reply_header(r, "Vary", "Accept");
    return prefers(r, "text", "csv") ? reply_usage_csv(r, &f, list, n) : reply_usage_json(r, &f, list, n);
}

/* --- statements --- */

/* A workspace that makes many keys or workflows decides how many lines there are, and a worker holds all of
 * them: about 3 KB for each. */
enum { STATEMENT_ROWS_MAX = 50000 };

static int reply_statement(struct request *r, const struct statement *s)
{
    reply_header(r, "Vary", "Accept");
    if (prefers(r, "text", "html")) {
        char *html = statement_html(r, s);
        reply_header(r, "Content-Security-Policy",
                     "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri "
                     "'none'; form-action 'none'");
        return reply_bytes(r, 200, "text/html; charset=utf-8", html, strlen(html));
    }
    if (prefers(r, "text", "csv")) {
        char *csv = statement_csv(r, s);
        reply_header(r, "Content-Disposition", "attachment; filename=\"statement.csv\"");
        return reply_bytes(r, 200, "text/csv; charset=utf-8; header=present", csv, strlen(csv));
    }
    json_object *o = statement_json(s, BILLING_BY_RESPONDER | BILLING_BY_KEY, true);
    size_t size;
    const char *json = talloc_strdup(r, json_text(o, &size));
    json_object_put(o);
    return reply_json(r, 200, json, size);
}

int h_credits_statement(struct request *r)
{
    struct statement_query q = {.workspace = &r->access.workspace_id,
                                .by = BILLING_BY_RESPONDER | BILLING_BY_KEY,
                                .names = true,
                                .rows_max = STATEMENT_ROWS_MAX};
    const char *month = request_query(r, "month");
    struct statement *list;
    size_t n;
    if (!month || !calendar_month_parse(month, &q.month)) {
        form_reject_value(r, "month", "a month such as 2026-11");
        return reply_rejected(r);
    }
    enum err e = statements_read(r->app->db, r, &q, &list, &n);
    if (e == ERR_LIMIT)
        return reply_problem(r, 422, "statement_too_large", "The statement is of more than %d sums.",
                             STATEMENT_ROWS_MAX);
    if (e != OK || n == 0)
        return reply_err(r, e != OK ? e : ERR_NOT_FOUND);
    return reply_statement(r, &list[0]);
}

/* --- the ledger --- */

/* The grants that a row concerns: one, or its parts. */
static void write_grants_of(struct json_write *w, const struct ledger_row *l)
{
    json_write_key(w, "grants");
    json_write_open(w, '[');
    for (size_t i = 0; i < l->parts_n; i++) {
        json_write_open(w, '{');
        json_write_id(w, "grant_id", &l->parts[i].grant_id);
        json_write_credits(w, "amount", l->parts[i].amount);
        json_write_close(w, '}');
    }
    json_write_close(w, ']');
}

static void write_entry(struct json_write *w, const struct ledger_row *row)
{
    const struct ledger_entry *l = &row->entry;
    json_write_open(w, '{');
    json_write_id(w, "id", &l->id);
    json_write_text(w, "kind", ledger_kind_name(l->kind));
    json_write_credits(w, "amount", l->amount);
    json_write_time(w, "created_at", id_ms(&l->id), false);
    json_write_id(w, "execution_id", &l->execution_id);
    json_write_id(w, "responder_id", &l->responder_id);
    json_write_id(w, "key_id", &l->key_id);
    json_write_text(w, "reason", l->reason);
    write_grants_of(w, row);
    json_write_close(w, '}');
}

int h_credits_ledger(struct request *r)
{
    id cursor;
    int64_t limit;
    struct ledger_row *list;
    size_t n;
    if (!request_query_cursor(r, "after", "a ledger entry", &cursor) ||
        !request_query_int(r, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit))
        return reply_rejected(r);
    enum err e = ledger_page(r->app->db, r, &r->access.workspace_id, &cursor, limit + 1, &list, &n);
    if (e != OK)
        return reply_err(r, e);
    id before;
    e = rolled_up_before(r->app->db, &r->access.workspace_id, &before);
    if (e != OK)
        return reply_err(r, e);
    struct page page = page_begin(r, "entries", n, limit);
    for (size_t i = 0; i < page.count; i++)
        write_entry(page.w, &list[i]);
    return page_reply_timed(r, &page, page.has_more ? list[page.count - 1].entry.id.text : NULL,
                            "rolled_up_before", id_is_set(&before) ? id_ms(&before) : 0);
}
