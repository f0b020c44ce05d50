#include "stream/feed_json.h"

#include <inttypes.h>
#include <string.h>
#include <talloc.h>

#include "stream/sse.h"
#include "json/json_write.h"

static enum event_type type_of_state(enum run_state state)
{
    return state == STATE_SUCCEEDED ? EVENT_SUCCEEDED : state == STATE_FAILED ? EVENT_FAILED : EVENT_STOPPED;
}

void feed_json_append(char **out, const struct feed_row *row)
{
    void *ctx = talloc_new(NULL);
    struct json_write *w = json_write_new(ctx);
    enum event_type type = type_of_state(row->state);
    size_t size;
    json_write_open(w, '{');
    json_write_id(w, "execution_id", &row->ids.execution);
    json_write_int(w, "seq", row->seq);
    json_write_text(w, "type", event_name(type));
    json_write_time(w, "at", row->ended_ms, true);
    json_write_key(w, "data");
    json_write_open(w, '{');
    if (row->state == STATE_FAILED)
        json_write_text(w, "failure_reason", reason_name(row->reason));
    json_write_close(w, '}');
    json_write_id(w, "responder_id", &row->ids.responder);
    json_write_text(w, "kind", row->kind == KIND_SKILL ? "skill" : "workflow");
    json_write_id(w, "parent_id", &row->ids.parent);
    json_write_json(w, "tags", row->tags ? row->tags : "[]");
    json_write_close(w, '}');
    const char *text = json_write_result(w, &size);
    sse_append_feed(out, row->id, event_name(type), text, size);
    talloc_free(ctx);
}

size_t feed_page_append(char **out, size_t *ends, const struct feed_row *rows, size_t count, size_t max)
{
    size_t n = 0;
    for (; n < count && talloc_get_size(*out) - 1 < max; n++) {
        feed_json_append(out, &rows[n]);
        ends[n + 1] = talloc_get_size(*out) - 1;
    }
    return n;
}

void feed_summary_append(char **out, int64_t number, const int ended[STATE_STOPPED + 1])
{
    char text[128];
    snprintf(text, sizeof text,
             "{\"type\":\"feed.summary\",\"ended\":{\"succeeded\":%d,\"failed\":%d,\"stopped\":%d}}",
             ended[STATE_SUCCEEDED], ended[STATE_FAILED], ended[STATE_STOPPED]);
    sse_append_feed(out, number, "feed.summary", text, strlen(text));
}

void feed_gap_append(char **out, int64_t after)
{
    char text[64];
    snprintf(text, sizeof text, "{\"type\":\"feed.gap\",\"resumed_after\":%" PRId64 "}", after);
    sse_append_feed(out, after, "feed.gap", text, strlen(text));
}
