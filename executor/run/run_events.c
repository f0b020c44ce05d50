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

static void add_skill_event(struct active_run *run, enum event_type type, json_object *data)
{
    if (run->events_n++ < RUN_EVENTS_MAX) {
        commit_add_event(run_pending_commit(run), type, clock_wall_ms(), json_text(data, NULL));
        run_flush(run);
    }
    json_object_put(data);
}

/* At most `max` bytes, without cutting a UTF-8 character. */
static json_object *truncate_text(const char *text, size_t max)
{
    size_t n = utf8_cut(text, strnlen(text, max + 1), max);
    return json_object_new_string_len(text, (int)n);
}

void run_add_progress_event(struct active_run *run, int percent, const char *message)
{
    json_object *data = json_object_new_object();
    json_object_object_add(data, "percent", json_object_new_int(percent));
    json_object_object_add(data, "message", truncate_text(message, TEXT_MAX));
    add_skill_event(run, EVENT_PROGRESS, data);
}

void run_add_log_event(struct active_run *run, const char *text)
{
    json_object *data = json_object_new_object();
    json_object_object_add(data, "text", truncate_text(text, TEXT_MAX));
    add_skill_event(run, EVENT_LOG, data);
}

void run_record_usage(struct commit *c, const struct usage *usage)
{
    c->usage = talloc(c, struct usage);
    *c->usage = *usage;
    c->usage->trace_id = usage->trace_id ? talloc_strdup(c, usage->trace_id) : NULL;
}
