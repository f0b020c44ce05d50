/* GET and POST /answer/{ticket}: what a ticket for a signal asks, and its answer. The ticket is the only
 * credential. GET and HEAD change nothing: programs that look at links in mails fetch them. */
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/clock.h"
#include "fcgi/forms/answer_page.h"
#include "fcgi/forms/form.h"
#include "fcgi/forms/signal_wait.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/auth.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "fcgi/http/slow.h"
#include "run/signal.h"
#include "run/signal_ticket.h"
#include "json/json_write.h"

struct answer {
    struct request *r;
    uint8_t hash[SIGNAL_TICKET_HASH_SIZE];
    struct signal_ticket ticket;
    /* The body is JSON, and so is the reply; otherwise pages. */
    bool is_json;
    /* What is asked; NULL: nothing is known of the wait. */
    const struct schema *schema;
    struct answer_form *form;
    const char *question;
};

/* --- replies --- */

/* Replies with r->problem, which was recorded by request_reject(). */
static int reply_recorded(const struct answer *a, const char *title)
{
    const struct request_problem *p = &a->r->problem;
    return a->is_json ? reply_rejected(a->r) : answer_page_message(a->r, p->status, title, p->detail);
}

static int reply_over(const struct answer *a)
{
    struct request *r = a->r;
    char at[CLOCK_TEXT_SIZE];
    switch (a->ticket.state) {
    case SIGNAL_TICKET_ANSWERED:
        (void)request_reject(r, 410, "ticket_gone",
                             "This link was answered at %s. It is good for one answer.",
                             clock_text_z(a->ticket.answered_ms, at));
        return reply_recorded(a, "Already answered");
    case SIGNAL_TICKET_EXPIRED:
        (void)request_reject(r, 410, "ticket_gone", "The time for an answer is over.");
        return reply_recorded(a, "Expired");
    default:
        (void)request_reject(
            r, 410, "ticket_gone",
            "An answer is no longer needed: it was given elsewhere, or the time for it is over.");
        return reply_recorded(a, "No longer needed");
    }
}

/* A failure that has a reply as JSON, or none yet. For people, it becomes a page. */
static int reply_failure(const struct answer *a, enum err e)
{
    struct request *r = a->r;
    if (r->reply.status == 0 && r->problem.status == 0)
        reply_err(r, e);
    if (a->is_json)
        return reply_rejected(r);
    int status = r->reply.status ? r->reply.status : r->problem.status;
    const char *text = status == 504
                           ? "It is not known whether your answer was stored. Open the link again: it "
                             "shows whether it was."
                       : status == 503 || status == 429
                           ? "The service is busy, and nothing was stored. Try again in a moment."
                       : r->problem.status ? r->problem.detail
                                           : "Something went wrong.";
    return answer_page_message(r, status, status == 404 ? "Not found" : "Not done",
                               status == 404 ? "There is no such link." : text);
}

/* --- what is asked --- */

/* False: the reply is set. The workspace's rate limit does not apply, because it would let a stranger who has
 * one link use it up; unknown tickets are limited by address. */
static bool find_ticket(struct answer *a)
{
    struct request *r = a->r;
    const char *token = r->path_values[0];
    int64_t now_ms = clock_boot_ms();
    if (!auth_take_look_up(r, now_ms)) {
        reply_failure(a, ERR_RETRY);
        return false;
    }
    signal_ticket_hash(token, a->hash);
    enum err e = signal_ticket_find(r->app->db, r, a->hash, &a->ticket);
    if (e != ERR_NOT_FOUND)
        auth_give_back_look_up(r, now_ms);
    if (e == ERR_NOT_FOUND && auth_reject_foreign(r, "", token)) {
        reply_recorded(a, "Wrong address");
        return false;
    }
    if (e != OK) {
        reply_failure(a, e);
        return false;
    }
    r->access.workspace_id = a->ticket.workspace_id;
    r->execution_id = a->ticket.execution_id;
    if (a->ticket.state != SIGNAL_TICKET_OPEN)
        reply_over(a);
    return a->ticket.state == SIGNAL_TICKET_OPEN;
}

static bool find_question(struct answer *a)
{
    struct request *r = a->r;
    const struct signal_ticket *t = &a->ticket;
    const struct program *program;
    const struct program_step *step;
    json_object *schema = NULL, *choices = NULL;
    const char *why;
    enum err e = signal_wait_find(r, &t->workflow_id, t->version, t->name, t->step, &program, &step);
    if (e == OK && step) {
        a->schema = step->signal_schema;
        a->question = signal_wait_literal(r, step->message);
    }
    if (e == OK && !t->choices && !a->is_json)
        e = signal_wait_schema(r, &t->workflow_id, t->version, program, step, &schema);
    if (e == OK && t->choices)
        e = json_parse_tolerant(r, t->choices, strlen(t->choices), JSON_DEPTH_MAX + 2, &choices, &why);
    if (t->wait_message)
        a->question = t->wait_message;
    if (t->question)
        a->question = t->question;
    if (e == OK)
        a->form = answer_form_new(r, schema, choices);
    else
        reply_failure(a, e);
    return e == OK;
}

static int reply_form(const struct answer *a, int status, const struct json_problems *problems)
{
    const struct signal_ticket *t = &a->ticket;
    int64_t until_ms = t->step >= 0 && t->wait_due_ms < t->expires_ms ? t->wait_due_ms : t->expires_ms;
    return answer_page_form(a->r, status, a->question, a->form, problems, until_ms);
}

int h_answer_page(struct request *r)
{
    struct answer a = {.r = r};
    if (!find_ticket(&a) || !find_question(&a))
        return r->reply.status;
    return reply_form(&a, 200, NULL);
}

/* --- the answer --- */

static bool content_type_is(const struct request *r, const char *name)
{
    const char *type = request_param(r, "CONTENT_TYPE");
    size_t n = type ? strcspn(type, "; \t") : 0;
    return n == strlen(name) && strncasecmp(type, name, n) == 0;
}

/* Adds what the schema of the wait refuses. False: the reply is set. The few places of this route are not
 * for requests that wait, so a long validation goes on at once or not at all. */
static bool check_schema(const struct answer *a, json_object *data, struct json_problems *p)
{
    struct request *r = a->r;
    struct schema_problems found = {0};
    enum err e = a->schema ? schema_validate_within(r, a->schema, data, SLOW_VALIDATION, &found) : OK;
    if (e == ERR_LIMIT)
        e = slow_try_now(r) ? schema_validate(r, a->schema, data, &found) : ERR_RETRY;
    if (e == ERR_RETRY) {
        reply_failure(a, e);
        return false;
    }
    for (size_t i = 0; i < found.count; i++)
        json_problems_add(p, found.items[i].pointer, "%s", found.items[i].message);
    return true;
}

/* The data as JSON. False: the reply is set, and nothing is consumed. */
static bool read_answer(struct answer *a, struct span *text_r)
{
    struct request *r = a->r;
    struct json_problems *p = json_problems_new(r);
    struct query_item items[ANSWER_FIELDS_MAX + QUERY_MAX];
    json_object *data = NULL;
    size_t n;
    const char *why;
    bool ok = request_charset_is_utf8(r) && (r->body_size <= SLOW_JSON_BYTES || slow_try_now(r));
    if (ok && a->is_json)
        ok = json_parse(r, r->body, r->body_size, JSON_DEPTH_MAX, &data, &why) == OK ||
             request_reject(r, 400, "invalid_json", "Invalid JSON: %s.", why);
    else if (ok)
        ok = request_form(r, items, sizeof items / sizeof *items, &n);
    if (!ok) {
        reply_failure(a, ERR_RETRY);
        return false;
    }
    ok = a->is_json ? answer_form_offers(a->form, data, p) : answer_form_read(r, a->form, items, n, &data, p);
    if (ok && !check_schema(a, data, p))
        return false;
    *text_r = (struct span){r->body, r->body_size};
    if (!a->is_json)
        text_r->at = json_text(data, &text_r->size);
    if (text_r->size > SIGNAL_DATA_MAX)
        json_problems_add(p, "", "The answer has more than %d bytes.", SIGNAL_DATA_MAX);
    if (p->total > 0 && a->is_json)
        reply_problems(r, 422, "invalid_inputs", p,
                       "The data is none of the choices, or does not match the schema of the wait.");
    else if (p->total > 0)
        reply_form(a, 422, p);
    return p->total == 0;
}

static struct span sender(struct request *r, const struct signal_ticket *t)
{
    struct json_write *w = json_write_new(r);
    struct span text;
    json_write_open(w, '{');
    json_write_text(w, "kind", "ticket");
    json_write_id(w, "ticket_id", &t->id);
    if (t->recipient)
        json_write_text(w, "recipient", t->recipient);
    json_write_close(w, '}');
    text.at = json_write_result(w, &text.size);
    return text;
}

static int reply_sent(const struct answer *a, const char *state)
{
    struct request *r = a->r;
    if (!a->is_json)
        return answer_page_message(r, 200, "Thank you", "Your answer was sent.");
    struct json_write *w = json_write_new(r);
    json_write_open(w, '{');
    json_write_text(w, "signal", a->ticket.name);
    json_write_text(w, "state", state);
    json_write_close(w, '}');
    return reply_written(r, 202, w);
}

static int reply_verdict(struct answer *a, enum signal_verdict verdict)
{
    switch (verdict) {
    case SIGNAL_DELIVERED:
        return reply_sent(a, "delivered");
    case SIGNAL_KEPT:
        return reply_sent(a, "kept");
    case SIGNAL_FULL:
    case SIGNAL_EXHAUSTED:
        (void)request_reject(a->r, 409, "too_many_signals",
                             "The execution has as many signals as it may, and takes no answer now.");
        return reply_recorded(a, "Not done");
    case SIGNAL_ENDED:
    case SIGNAL_NOT_FOUND:
    case SIGNAL_TICKET_OVER:
        if (signal_ticket_find(a->r->app->db, a->r, a->hash, &a->ticket) != OK)
            a->ticket.state = SIGNAL_TICKET_ENDED;
        return reply_over(a);
    case SIGNAL_UNCERTAIN:
        return reply_failure(a, ERR_UNCERTAIN);
    default:
        return reply_failure(a, ERR_UNAVAILABLE);
    }
}

int h_answer_send(struct request *r)
{
    struct answer a = {.r = r, .is_json = content_type_is(r, "application/json")};
    struct idempotency_match unused = {0};
    struct signal_request req = {.signal_id = id_new(), .ticket = a.hash};
    if (!a.is_json && !content_type_is(r, "application/x-www-form-urlencoded")) {
        (void)request_reject(
            r, 415, "unsupported_media_type",
            "The answer must be a form, application/x-www-form-urlencoded, or application/json.");
        return reply_rejected(r);
    }
    if (!find_ticket(&a) || !find_question(&a) || !read_answer(&a, &req.data))
        return r->reply.status;
    slow_end(r->app);
    req.workspace_id = a.ticket.workspace_id;
    req.execution_id = a.ticket.execution_id;
    req.name = a.ticket.name;
    req.sender = sender(r, &a.ticket);
    return reply_verdict(&a, signal_send(r->app->db, r, &req, &unused));
}
