/* POST /executions/{id}/signals/{name} */
#include <string.h>
#include <talloc.h>

#include "fcgi/forms/execution_scope.h"
#include "fcgi/forms/form.h"
#include "fcgi/forms/signal_wait.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "fcgi/http/slow.h"
#include "run/signal.h"
#include "store/execution.h"
#include "json/json_write.h"

/* The body is the data: any JSON; without one, null. */
static bool read_data(struct request *r, json_object **data_r, struct span *text_r)
{
    const char *why;
    *text_r = span_text("null");
    *data_r = NULL;
    if (r->body_size == 0)
        return true;
    if (!request_body_is_json(r))
        return false;
    *text_r = (struct span){r->body, r->body_size};
    return json_parse(r, r->body, r->body_size, JSON_DEPTH_MAX, data_r, &why) == OK ||
           request_reject(r, 400, "invalid_json", "Invalid JSON: %s.", why);
}

/* Validates the data against the schema of the wait that will take the signal. If none waits now, the wait
 * validates it. False: the reply is set. */
static bool check_data(struct request *r, const struct execution *exec, const char *name, json_object *data)
{
    const struct program *program;
    const struct program_step *wait;
    struct schema_problems found = {0};
    int step;
    enum err e = signal_find_wait(r->app->db, r, &exec->id, name, &step);
    if (e == OK && step < 0)
        return true;
    if (e == OK)
        e = signal_wait_find(r, &exec->responder_id, exec->version, name, step, &program, &wait);
    if (e != OK) {
        reply_err(r, e);
        return false;
    }
    if (!wait || !wait->signal_schema)
        return true;
    e = form_validate(r, wait->signal_schema, data, &found);
    if (e == OK || e == ERR_RETRY)
        return e == OK;
    struct json_problems *p = json_problems_new(r);
    for (size_t i = 0; i < found.count; i++)
        json_problems_add(p, found.items[i].pointer, "%s", found.items[i].message);
    reply_problems(r, 422, "invalid_inputs", p, "The data does not match the schema of the wait.");
    return false;
}

static struct stored_response response(struct request *r, const id *execution, const char *name,
                                       const char *state)
{
    struct json_write *w = json_write_new(r);
    struct stored_response stored = {.status = 202};
    json_write_open(w, '{');
    json_write_id(w, "execution_id", execution);
    json_write_text(w, "signal", name);
    json_write_text(w, "state", state);
    json_write_close(w, '}');
    stored.body.at = json_write_result(w, &stored.body.size);
    return stored;
}

static struct span sender(struct request *r)
{
    struct json_write *w = json_write_new(r);
    struct span text;
    json_write_open(w, '{');
    json_write_text(w, "kind", "key");
    json_write_id(w, "key_id", &r->access.key_id);
    json_write_id(w, "principal_id", &r->access.principal_id);
    json_write_close(w, '}');
    text.at = json_write_result(w, &text.size);
    return text;
}

static int reply_verdict(struct request *r, const struct signal_request *req, enum signal_verdict verdict,
                         const struct idempotency_match *replay)
{
    const struct stored_response *stored = verdict == SIGNAL_DELIVERED ? &req->delivered : &req->kept;
    switch (verdict) {
    case SIGNAL_DELIVERED:
    case SIGNAL_KEPT:
        return reply_json(r, stored->status, stored->body.at, stored->body.size);
    case SIGNAL_REPLAYED:
        return reply_stored_response(r, &replay->execution_id, &replay->response);
    case SIGNAL_KEY_REUSED:
        return reply_key_reused(r);
    case SIGNAL_NOT_FOUND:
        return reply_not_found(r);
    case SIGNAL_ENDED:
        return reply_problem(r, 409, "execution_terminal", "The execution has ended.");
    case SIGNAL_FULL:
        return reply_problem(
            r, 409, "too_many_signals",
            "The execution keeps as many signals as it may, %d or %d bytes, until a step waits for them.",
            SIGNALS_MAX, SIGNALS_BYTES_MAX);
    case SIGNAL_EXHAUSTED:
        return reply_problem(r, 409, "too_many_signals",
                             "The execution has had %d signals, as many as it may in all.",
                             SIGNALS_TOTAL_MAX);
    case SIGNAL_UNCERTAIN:
        return reply_err(r, ERR_UNCERTAIN);
    default:
        return reply_err(r, ERR_UNAVAILABLE);
    }
}

int h_signal_send(struct request *r)
{
    struct signal_request req = {.signal_id = id_new(), .workspace_id = r->access.workspace_id};
    struct idempotency_match replay = {0};
    struct execution exec;
    json_object *data;
    req.name = r->path_values[1];
    if (!request_path_id(r, 0, &req.execution_id) || !signal_name_is_valid(r, req.name) ||
        !request_idempotency(r, &req.idempotency_key, req.fingerprint) || !read_data(r, &data, &req.data))
        return reply_rejected(r);
    if (!require_execute_scope(r, &req.execution_id))
        return reject_or_replay(r, req.idempotency_key, req.fingerprint);
    r->execution_id = req.execution_id;
    enum err e = execution_get(r->app->db, r, &req.workspace_id, &req.execution_id, &exec);
    if (e != OK)
        return reply_err(r, e);
    if (!check_data(r, &exec, req.name, data))
        return reject_or_replay(r, req.idempotency_key, req.fingerprint);
    slow_end(r->app);
    req.sender = sender(r);
    req.delivered = response(r, &req.execution_id, req.name, "delivered");
    req.kept = response(r, &req.execution_id, req.name, "kept");
    return reply_verdict(r, &req, signal_send(r->app->db, r, &req, &replay), &replay);
}
