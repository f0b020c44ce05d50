#define _GNU_SOURCE
#include "executor/run/run_events.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "json/json.h"

enum {
    /* bytes of text in one event; escaped as JSON, at most six times as many, it still fits its column */
    TEXT_MAX = 10000,
};

static void add_event(struct active_run *run, enum event_type type, json_object *data)
{
    run->events_n++;
    commit_add_event(run_pending_commit(run), type, clock_wall_ms(), json_text(data, NULL));
    json_object_put(data);
}

/* One place is kept for the report of what was omitted. */
static bool has_room(const struct active_run *run)
{
    return run->events_n < RUN_EVENTS_MAX - 1;
}

void run_add_progress_event(struct active_run *run, int percent, const char *message)
{
    size_t size = strlen(message), shown = utf8_cut(message, size, TEXT_MAX);
    if (!has_room(run)) {
        run->events_omitted++;
        return;
    }
    json_object *data = json_object_new_object();
    json_object_object_add(data, "percent", json_object_new_int(percent));
    json_object_object_add(data, "message", json_object_new_string_len(message, (int)shown));
    if (shown < size)
        json_object_object_add(data, "truncated", json_object_new_boolean(true));
    add_event(run, EVENT_PROGRESS, data);
    run_flush(run);
}

/* The size of the next event of a text: up to the last end of a line that fits, or else the last character.
 */
static size_t next_piece(const char *text, size_t size)
{
    if (size <= TEXT_MAX)
        return size;
    const char *line_end = memrchr(text, '\n', TEXT_MAX);
    return line_end ? (size_t)(line_end - text) + 1 : utf8_cut(text, size, TEXT_MAX);
}

static void add_log_piece(struct active_run *run, const char *text, size_t size, int64_t omitted_bytes)
{
    json_object *data = json_object_new_object();
    json_object_object_add(data, "text", json_object_new_string_len(text, (int)size));
    if (omitted_bytes > 0) {
        json_object_object_add(data, "truncated", json_object_new_boolean(true));
        json_object_object_add(data, "omitted_bytes", json_object_new_int64(omitted_bytes));
    }
    add_event(run, EVENT_LOG, data);
}

void run_add_log_event(struct active_run *run, const char *text, int64_t omitted_bytes)
{
    size_t left = strlen(text);
    do {
        size_t n = next_piece(text, left);
        if (has_room(run)) {
            add_log_piece(run, text, n, n == left ? omitted_bytes : 0);
        } else {
            run->events_omitted++;
            run->log_bytes_omitted += (int64_t)n + (n == left ? omitted_bytes : 0);
        }
        text += n;
        left -= n;
    } while (left > 0);
    run_flush(run);
}

void run_record_usage(struct commit *c, const struct usage *usage)
{
    c->usage = talloc(c, struct usage);
    *c->usage = *usage;
    c->usage->trace_id = usage->trace_id ? talloc_strdup(c, usage->trace_id) : NULL;
}
