#include "webhook/body.h"

#include "webhook/event.h"
#include "json/json_write.h"

static enum run_state state_after(enum webhook_event event)
{
    switch (event) {
    case WEBHOOK_SUCCEEDED:
        return STATE_SUCCEEDED;
    case WEBHOOK_FAILED:
        return STATE_FAILED;
    case WEBHOOK_STOPPED:
        return STATE_STOPPED;
    default:
        return STATE_RUNNING;
    }
}

/* The run may have gone on since the event; the body tells its state after the event. */
static void write_run(struct json_write *w, const struct webhook_message *m)
{
    enum run_state state = state_after(m->event);
    bool ended = state_is_terminal(state);
    json_write_id(w, "execution_id", &m->execution_id);
    json_write_id(w, m->kind == KIND_SKILL ? "skill_id" : "workflow_id", &m->responder_id);
    json_write_text(w, "status", state_status(state));
    json_write_text(w, "failure_reason", ended ? reason_name(m->reason) : NULL);
    json_write_id(w, "root_id", &m->root_id);
    json_write_id(w, "parent_id", &m->parent_id);
    json_write_time(w, "created_at", id_ms(&m->execution_id), false);
    json_write_time(w, "started_at", m->started_ms, false);
    json_write_time(w, "ended_at", ended ? m->ended_ms : 0, false);
    json_write_credits(w, "credits_used", ended ? m->cost - m->refunded : m->cost);
}

static void write_data(struct json_write *w, const struct webhook_message *m)
{
    if (m->data) {
        json_write_raw(w, m->data, m->data_size);
        return;
    }
    json_write_open(w, '{');
    if (id_is_set(&m->execution_id))
        write_run(w, m);
    else
        json_write_id(w, "webhook_id", &m->webhook_id);
    json_write_close(w, '}');
}

const char *webhook_body(void *ctx, const struct webhook_message *m, size_t *size_r)
{
    struct json_write *w = json_write_new(ctx);
    json_write_open(w, '{');
    json_write_text(w, "type", webhook_event_name(m->event));
    json_write_time(w, "timestamp", m->at_ms, false);
    json_write_key(w, "data");
    write_data(w, m);
    json_write_close(w, '}');
    return json_write_result(w, size_r);
}
