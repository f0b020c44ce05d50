/* POST /executions/{id}/signals/{name}/ticket */
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "fcgi/forms/answer_form.h"
#include "fcgi/forms/execution_scope.h"
#include "fcgi/forms/form.h"
#include "fcgi/forms/quota_reply.h"
#include "fcgi/forms/signal_wait.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "fcgi/http/slow.h"
#include "run/signal.h"
#include "run/signal_ticket.h"
#include "store/execution.h"
#include "json/json_write.h"

/* --- the body --- */

static bool read_text(struct request *r, json_object *body, const char *name, size_t max, struct span *text_r)
{
    const char *text = json_get_text(body, name);
    *text_r = span_text(text);
    if (!json_get(body, name) || (text && *text && text_r->size <= max))
        return true;
    return form_reject_value(r, name, talloc_asprintf(r, "a text of 1 to %zu bytes", max));
}

/* The recipient is a part of the signal's sender, whose column has 1,024 bytes: control characters take six
 * bytes each as JSON. */
static bool read_recipient(struct request *r, json_object *body, struct span *text_r)
{
    if (!read_text(r, body, "recipient", SIGNAL_TICKET_RECIPIENT_MAX, text_r))
        return false;
    for (size_t i = 0; i < text_r->size; i++) {
        if ((unsigned char)text_r->at[i] < 0x20 || text_r->at[i] == 0x7f)
            return form_reject_value(r, "recipient", "a text without control characters");
    }
    return true;
}

static bool read_expiry(struct request *r, json_object *body, int64_t *expires_ms_r)
{
    json_object *value = json_get(body, "expires_seconds");
    int64_t seconds = value ? json_object_get_int64(value) : SIGNAL_TICKET_SECONDS_DEFAULT;
    *expires_ms_r = clock_wall_ms() + seconds * 1000;
    if (!value ||
        (json_object_is_type(value, json_type_int) && seconds >= 1 && seconds <= SIGNAL_TICKET_SECONDS_MAX))
        return true;
    return form_reject_value(r, "expires_seconds",
                             talloc_asprintf(r, "a whole number from 1 to %d", SIGNAL_TICKET_SECONDS_MAX));
}

/* One choice: a text, which is also its data, or {"label", "data"}. */
static bool write_choice(struct json_write *w, json_object *choice)
{
    bool is_text = json_object_is_type(choice, json_type_string);
    const char *label = is_text ? json_plain(choice) : json_get_text(choice, "label");
    json_object *data = choice;
    if (!label || !*label || strlen(label) > ANSWER_LABEL_MAX)
        return false;
    if (!is_text &&
        (json_object_object_length(choice) != 2 || !json_object_object_get_ex(choice, "data", &data)))
        return false;
    json_write_open(w, '{');
    json_write_text(w, "label", label);
    json_write_json(w, "data", json_text(data, NULL));
    json_write_close(w, '}');
    return true;
}

static bool read_choices(struct request *r, json_object *body, json_object **choices_r, struct span *text_r)
{
    static const char what[] = "an array of 1 to 20 answers, each a text of 1 to 200 bytes or an object of "
                               "such a \"label\" and its \"data\", together at most 16 KiB";
    json_object *given = json_get(body, "choices");
    const char *why;
    size_t n = json_object_is_type(given, json_type_array) ? json_object_array_length(given) : 0;
    *choices_r = NULL;
    *text_r = (struct span){0};
    if (!given)
        return true;
    struct json_write *w = json_write_new(r);
    json_write_open(w, '[');
    for (size_t i = 0; i < n && n <= ANSWER_CHOICES_N; i++) {
        if (!write_choice(w, json_object_array_get_idx(given, i)))
            return form_reject_value(r, "choices", what);
    }
    json_write_close(w, ']');
    text_r->at = json_write_result(w, &text_r->size);
    if (n == 0 || n > ANSWER_CHOICES_N || text_r->size > SIGNAL_TICKET_CHOICES_MAX)
        return form_reject_value(r, "choices", what);
    return json_parse(r, text_r->at, text_r->size, JSON_DEPTH_MAX, choices_r, &why) == OK ||
           form_reject_value(r, "choices", what);
}

static bool read_body(struct request *r, struct signal_ticket_request *q, json_object **choices_r)
{
    json_object *body;
    return request_json(r, &body) &&
           (!body || form_members_are_known(r, body, "expires_seconds question choices recipient")) &&
           read_expiry(r, body, &q->expires_ms) &&
           read_text(r, body, "question", SIGNAL_TICKET_QUESTION_MAX, &q->question) &&
           read_recipient(r, body, &q->recipient) && read_choices(r, body, choices_r, &q->choices);
}

/* A choice that the wait would refuse is found here, and not by the person who chooses it. False: the reply
 * is set. */
static bool check_choices(struct request *r, const struct execution *exec, const char *name,
                          json_object *choices)
{
    const struct program *program;
    const struct program_step *step = NULL;
    int index;
    struct json_problems *p = json_problems_new(r);
    enum err e = choices ? signal_find_wait(r->app->db, r, &exec->id, name, &index) : OK;
    if (e == OK && choices)
        e = signal_wait_find(r, &exec->responder_id, exec->version, name, index, &program, &step);
    size_t n = choices && step && step->signal_schema ? json_object_array_length(choices) : 0;
    for (size_t i = 0; e == OK && i < n; i++) {
        struct schema_problems found = {0};
        json_object *data = json_get(json_object_array_get_idx(choices, i), "data");
        e = form_validate(r, step->signal_schema, data, &found);
        for (size_t k = 0; k < found.count; k++)
            json_problems_add(p, talloc_asprintf(r, "/choices/%zu/data%s", i, found.items[k].pointer), "%s",
                              found.items[k].message);
        e = e == ERR_RETRY ? e : OK;
    }
    if (e != OK && r->reply.status == 0)
        reply_err(r, e);
    else if (e == OK && p->total > 0)
        reply_problems(r, 422, "invalid_inputs", p,
                       "The data of a choice does not match the schema of the wait.");
    return e == OK && p->total == 0;
}

/* --- the reply --- */

/* Where people reach this site: the setting, or else what this client has called it. */
static char *answer_url(struct request *r, const char *token)
{
    const char *base = r->app->config->api.public_url, *scheme = request_param(r, "SCHEME"),
               *host = request_param(r, "HTTP_HOST");
    if (*base)
        return talloc_asprintf(r, "%s" ANSWER_PATH "%s", base, token);
    return scheme && host && *host ? talloc_asprintf(r, "%s://%s" ANSWER_PATH "%s", scheme, host, token)
                                   : talloc_asprintf(r, ANSWER_PATH "%s", token);
}

static int reply_made(struct request *r, const struct signal_ticket_request *q, const char *token)
{
    struct json_write *w = json_write_new(r);
    json_write_open(w, '{');
    json_write_id(w, "ticket_id", &q->ticket_id);
    json_write_id(w, "execution_id", &q->execution_id);
    json_write_text(w, "signal", q->name);
    json_write_text(w, "url", answer_url(r, token));
    json_write_time(w, "expires_at", q->expires_ms, true);
    json_write_close(w, '}');
    reply_header(r, "Cache-Control", "no-store");
    return reply_written(r, 201, w);
}

static int reply_verdict(struct request *r, const struct signal_ticket_request *q, const char *token,
                         enum signal_ticket_verdict verdict, int64_t limit)
{
    switch (verdict) {
    case SIGNAL_TICKET_MADE:
        return reply_made(r, q, token);
    case SIGNAL_TICKET_NO_RUN:
        return reply_not_found(r);
    case SIGNAL_TICKET_RUN_ENDED:
        return reply_problem(r, 409, "execution_terminal", "The execution has ended.");
    case SIGNAL_TICKET_RUN_FULL:
        return reply_problem(
            r, 409, "too_many_tickets",
            "The execution has as many tickets for signals as it may: %d that are open, or %d in all.",
            SIGNAL_TICKETS_OPEN_MAX, SIGNAL_TICKETS_MAX);
    case SIGNAL_TICKET_QUOTA:
        return quota_reply(r, &(struct quota_excess){QUOTA_SIGNAL_TICKETS, limit});
    default: /* nobody has the token of a ticket of which it is not known whether it was stored */
        return reply_err(r, ERR_UNAVAILABLE);
    }
}

int h_signal_ticket(struct request *r)
{
    struct signal_ticket_request q = {.ticket_id = id_new(),
                                      .workspace_id = r->access.workspace_id,
                                      .key_id = r->access.key_id,
                                      .name = r->path_values[1],
                                      .quota = r->app->config->quotas.signal_tickets};
    char token[SIGNAL_TICKET_TEXT_SIZE];
    struct execution exec;
    json_object *choices;
    int64_t limit = 0;
    if (!request_path_id(r, 0, &q.execution_id) || !signal_name_is_valid(r, q.name) ||
        !read_body(r, &q, &choices) || !require_execute_scope(r, &q.execution_id))
        return reply_rejected(r);
    r->execution_id = q.execution_id;
    enum err e = execution_get(r->app->db, r, &q.workspace_id, &q.execution_id, &exec);
    if (e == OK && exec.kind != KIND_WORKFLOW)
        e = ERR_NOT_FOUND;
    if (e == OK)
        e = signal_ticket_token(r->app->config->cell.name, token);
    if (e != OK)
        return reply_err(r, e);
    if (!check_choices(r, &exec, q.name, choices))
        return reply_rejected(r);
    slow_end(r->app);
    signal_ticket_hash(token, q.hash);
    return reply_verdict(r, &q, token, signal_ticket_create(r->app->db, &q, &limit), limit);
}
