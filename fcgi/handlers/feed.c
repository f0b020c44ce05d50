/* GET /events: the workspace's feed of ended runs. Everything is checked here, before the event daemon opens
 * a stream. */
#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "fcgi/forms/form.h"
#include "fcgi/forms/wait.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/auth.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "run/states.h"
#include "store/feed.h"

enum { RESPONDERS_MAX = 16, TAG_MAX = 256, DIGITS_MAX = 16 };
static const int64_t HOUR_MS = 3600000;

/* What stands in the stream's URI. */
struct feed_query {
    int states;
    bool is_summary;
    char *responders, *tag;
};

static bool add_type(struct request *r, const char *type, int *states)
{
    if (strcmp(type, event_name(EVENT_SUCCEEDED)) == 0)
        *states |= 1 << STATE_SUCCEEDED;
    else if (strcmp(type, event_name(EVENT_FAILED)) == 0)
        *states |= 1 << STATE_FAILED;
    else if (strcmp(type, event_name(EVENT_STOPPED)) == 0)
        *states |= 1 << STATE_STOPPED;
    else
        return form_reject_value(r, "type", "execution.succeeded, execution.failed or execution.stopped");
    return true;
}

static bool add_responder(struct request *r, const char *text, struct feed_query *q, size_t *n)
{
    id responder;
    if (*n == RESPONDERS_MAX || !id_parse(text, strlen(text), &responder))
        return form_reject_value(r, "responder", "at most 16 UUIDs");
    q->responders = talloc_asprintf_append_buffer(q->responders, "%s%s", (*n)++ ? "," : "", responder.text);
    return true;
}

static bool read_filters(struct request *r, struct feed_query *q)
{
    const char *tag = request_query(r, "tag");
    size_t responders_n = 0, size = tag ? strlen(tag) : 0;
    *q = (struct feed_query){.responders = talloc_strdup(r, "")};
    if (!request_query_bool(r, "summary", &q->is_summary))
        return false;
    for (size_t i = 0; i < r->query_n; i++) {
        const char *name = r->query[i].name, *value = r->query[i].value;
        if (strcmp(name, "type") == 0 && !add_type(r, value, &q->states))
            return false;
        if (strcmp(name, "responder") == 0 && !add_responder(r, value, q, &responders_n))
            return false;
    }
    if (!q->states)
        q->states = 1 << STATE_SUCCEEDED | 1 << STATE_FAILED | 1 << STATE_STOPPED;
    if (tag && (size == 0 || size > TAG_MAX))
        return form_reject_value(r, "tag", "a string of 1 to 256 octets");
    q->tag = talloc_size(r, 2 * size + 1);
    sodium_bin2hex(q->tag, 2 * size + 1, (const unsigned char *)(tag ? tag : ""), size);
    return true;
}

struct feed_position {
    /* The id after which the stream continues: the client's, or the newest one. */
    int64_t after;
    /* events between the client's and the first one that is left were removed */
    bool missed;
    /* The client has no id: the stream begins when all that has ended before has an id. */
    bool begins;
};

static bool read_position(struct request *r, const struct feed_state *state, struct feed_position *at_r)
{
    int64_t last;
    if (!form_last_event_id(r, DIGITS_MAX, &last))
        return false;
    at_r->begins = last < 0;
    at_r->missed = last >= 0 && (last < state->removed_id || last > state->last_id);
    at_r->after = at_r->missed ? state->removed_id : at_r->begins ? state->last_id : last;
    return true;
}

int h_feed(struct request *r)
{
    struct feed_query q;
    struct feed_state state;
    struct feed_position at;
    if (!read_filters(r, &q))
        return reply_rejected(r);
    if (strcmp(r->method, "HEAD") == 0)
        return reply_bytes(r, 200, "text/event-stream; charset=utf-8", "", 0);
    enum err e = feed_open(r->app->db, r, &r->access.workspace_id,
                           r->app->config->stream.feed_hours * HOUR_MS, &state);
    if (e != OK)
        return reply_err(r, e);
    if (!read_position(r, &state, &at))
        return reply_rejected(r);
    return reply_internal(
        r,
        "/internal/stream/feed?workspace=%s&key=%s&after=%lld&missed=%d&states=%d&responders=%s&"
        "tag=%s&gzip=%d&summary=%d&begin=%d&streams=%lld",
        r->access.workspace_id.text, auth_credential(r)->text, (long long)at.after, at.missed, q.states,
        q.responders, q.tag, request_accepts_gzip(r), q.is_summary, at.begins, wait_streams_max(r));
}
