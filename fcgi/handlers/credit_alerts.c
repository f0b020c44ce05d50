/* GET, PUT /credits/alerts */
#include <talloc.h>

#include "account/credits.h"
#include "fcgi/forms/form.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "spending/alert_store.h"
#include "json/json.h"
#include "json/json_write.h"

static void write_credits(struct json_write *w, const char *name, int64_t micro, bool is_known)
{
    if (is_known) {
        json_write_credits(w, name, micro);
        return;
    }
    json_write_key(w, name);
    json_write_null(w);
}

static void write_line(struct json_write *w, const struct alert *alert)
{
    bool is_percent = alert->kind == ALERT_PERCENT;
    json_write_open(w, '{');
    write_credits(w, "credits", alert->value, !is_percent);
    json_write_key(w, "percent");
    if (is_percent)
        json_write_number(w, alert->value);
    else
        json_write_null(w);
    write_credits(w, "line", alert->line, alert->line >= 0);
    json_write_flag(w, "low", alert->told);
    json_write_close(w, '}');
}

static void write_spend(struct json_write *w, const struct alert *spend, const struct alert_list *list)
{
    json_write_open(w, '{');
    json_write_int(w, "percent", spend->value);
    json_write_credits(w, "at_least", spend->at_least);
    write_credits(w, "usual", spend->usual, spend->usual >= 0);
    write_credits(w, "line", spend->line, spend->line >= 0);
    json_write_credits(w, "spent", list->spent);
    json_write_flag(w, "high", spend->told);
    json_write_time(w, "reset_at", list->until_ms, false);
    json_write_close(w, '}');
}

/* The alert of spending comes last. */
int h_credit_alerts_get(struct request *r)
{
    struct alert_list list;
    enum err e = alerts_read(r->app->db, r, &r->access.workspace_id, &list);
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = json_write_new(r);
    size_t i = 0;
    json_write_open(w, '{');
    json_write_key(w, "balance");
    json_write_open(w, '[');
    for (; i < list.n && list.alerts[i].kind != ALERT_SPEND; i++)
        write_line(w, &list.alerts[i]);
    json_write_close(w, ']');
    json_write_key(w, "spend");
    if (i < list.n)
        write_spend(w, &list.alerts[i], &list);
    else
        json_write_null(w);
    write_credits(w, "last_top_up", list.top_up, list.top_up >= 0);
    json_write_close(w, '}');
    return reply_written(r, 200, w);
}

/* --- the body --- */

/* The digits of the number as they were sent, because a double cannot hold all amounts. */
static bool read_amount(json_object *value, int64_t *micro_r)
{
    bool is_number =
        json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double);
    return is_number && credits_parse_json(json_text(value, NULL), micro_r) && *micro_r >= 0 &&
           *micro_r <= ALERT_CREDITS_MAX;
}

static bool read_percent(json_object *value, int64_t min, int64_t max, int64_t *percent_r)
{
    *percent_r = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0;
    return *percent_r >= min && *percent_r <= max;
}

static bool read_line(json_object *line, struct alert_settings *s)
{
    json_object *credits = json_get(line, "credits"), *percent = json_get(line, "percent");
    int64_t value;
    if (!json_object_is_type(line, json_type_object) || !credits == !percent)
        return false;
    if (percent)
        return read_percent(percent, ALERT_PERCENT_MIN, ALERT_PERCENT_MAX, &value) &&
               alert_settings_add(s, ALERT_PERCENT, value);
    return read_amount(credits, &value) && alert_settings_add(s, ALERT_CREDITS, value);
}

static bool read_lines(struct request *r, json_object *body, struct alert_settings *s)
{
    json_object *lines = json_get(body, "balance");
    bool valid = !lines || json_object_is_type(lines, json_type_array);
    size_t n = lines && valid ? json_object_array_length(lines) : 0;
    for (size_t i = 0; valid && i < n; i++)
        valid = read_line(json_object_array_get_idx(lines, i), s);
    return valid ||
           form_reject_value(r, "balance",
                             "an array of at most 10 different objects, each with credits, from 0 to "
                             "1000000000, or percent, from 1 to 99");
}

static bool read_spend(struct request *r, json_object *body, struct alert_settings *s)
{
    json_object *spend = json_get(body, "spend");
    struct alert alert = {.kind = ALERT_SPEND};
    if (!spend)
        return true;
    if (!json_object_is_type(spend, json_type_object) ||
        !read_percent(json_get(spend, "percent"), ALERT_SPEND_PERCENT_MIN, ALERT_SPEND_PERCENT_MAX,
                      &alert.value) ||
        !read_amount(json_get(spend, "at_least"), &alert.at_least))
        return form_reject_value(
            r, "spend",
            "null or an object with percent, from 101 to 10000, and at_least, credits from "
            "0 to 1000000000");
    s->wanted[s->n++] = alert;
    return true;
}

int h_credit_alerts_put(struct request *r)
{
    struct alert_settings settings = {0};
    json_object *body;
    if (!request_json(r, &body))
        return reply_rejected(r);
    if (!body) {
        form_reject_value(r, "The body", "a JSON object");
        return reply_rejected(r);
    }
    if (!form_members_are_known(r, body, "balance spend") || !read_lines(r, body, &settings) ||
        !read_spend(r, body, &settings))
        return reply_rejected(r);
    enum err e = alert_settings_store(r->app->db, &r->access.workspace_id, &settings);
    return e == OK ? h_credit_alerts_get(r) : reply_err(r, e);
}
