#include "fcgi/forms/schedule_form.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "fcgi/forms/form.h"
#include "fcgi/forms/run_form.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"

/* A member that is present, JSON null included, which clears a field of PATCH. */
static bool has_member(json_object *body, const char *name)
{
    return json_object_object_get_ex(body, name, NULL);
}

static bool read_int(struct request *r, json_object *body, const char *name, int64_t min, int64_t max,
                     int64_t *value_r)
{
    json_object *value = json_get(body, name);
    if (!value)
        return true;
    int64_t number = json_object_get_int64(value);
    if (!json_object_is_type(value, json_type_int) || number < min || number > max)
        return form_reject_value(
            r, name, talloc_asprintf(r, "an integer from %lld to %lld", (long long)min, (long long)max));
    *value_r = number;
    return true;
}

static bool read_time(struct request *r, json_object *body, const char *name, int64_t *ms_r)
{
    if (!has_member(body, name))
        return true;
    const char *text = json_get_text(body, name);
    *ms_r = text ? clock_parse(text) : 0;
    if ((json_get(body, name) && !text) || *ms_r < 0)
        return form_reject_value(r, name, "an RFC 3339 date-time");
    return true;
}

static bool read_text(struct request *r, json_object *body, const char *name, size_t max, const char **text_r)
{
    if (!json_get(body, name))
        return true;
    *text_r = json_get_text(body, name);
    if (!*text_r || utf8_count(*text_r, strlen(*text_r)) > max)
        return form_reject_value(r, name, talloc_asprintf(r, "a string of at most %zu characters", max));
    return true;
}

/* Exactly one of cron, every_seconds and at; PATCH may name none. */
static bool read_times(struct request *r, json_object *body, struct schedule *s)
{
    int named = !!json_get(body, "cron") + !!json_get(body, "every_seconds") + !!json_get(body, "at");
    bool is_new = s->revision == 0;
    if (named > 1 || (is_new && named == 0))
        return request_reject(r, 400, "invalid_request",
                              "Exactly one of cron, every_seconds and at must be given.");
    if (named == 1) {
        s->cron = NULL;
        s->every_s = s->at_ms = 0;
    }
    if (!read_text(r, body, "cron", CRON_TEXT_MAX, &s->cron) ||
        !read_int(r, body, "every_seconds", TIMING_EVERY_MIN_S, TIMING_EVERY_MAX_S, &s->every_s) ||
        (json_get(body, "at") && !read_time(r, body, "at", &s->at_ms)) ||
        !read_time(r, body, "start_at", &s->start_ms) || !read_time(r, body, "end_at", &s->end_ms) ||
        !read_text(r, body, "timezone", ZONE_NAME_MAX, &s->timezone))
        return false;
    s->timing = s->cron ? TIMING_CRON : s->every_s > 0 ? TIMING_EVERY : TIMING_AT;
    if (named == 1 || has_member(body, "start_at"))
        s->anchor_ms = s->start_ms > 0 ? s->start_ms : clock_wall_ms() + s->every_s * 1000;
    return true;
}

void schedule_form_own(struct request *r, struct schedule *s)
{
    s->principal_id = r->access.principal_id;
    s->key_id = r->access.key_id;
}

static bool read_rules(struct request *r, json_object *body, struct schedule *s)
{
    int64_t jitter_s = s->jitter_s, catch_up_s = s->catch_up_s;
    json_object *paused = json_get(body, "paused"), *overlap = json_get(body, "overlap");
    if (!read_int(r, body, "jitter_seconds", 0, TIMING_JITTER_MAX_S, &jitter_s) ||
        !read_int(r, body, "catch_up_seconds", 0, SCHEDULE_CATCH_UP_MAX_S, &catch_up_s) ||
        !read_text(r, body, "note", SCHEDULE_NOTE_MAX, &s->note))
        return false;
    s->jitter_s = (int)jitter_s;
    s->catch_up_s = (int)catch_up_s;
    if (overlap) {
        const char *name = json_plain(overlap);
        s->overlap = name ? overlap_from_name(name) : 0;
        if (!s->overlap)
            return form_reject_value(r, "overlap", "skip, queue_one, allow or stop_previous");
    }
    if (paused && !json_object_is_type(paused, json_type_boolean))
        return form_reject_value(r, "paused", "a boolean");
    if (paused && !json_object_get_boolean(paused) && s->paused == SCHEDULE_PAUSED_KEY_REVOKED)
        schedule_form_own(r, s);
    if (paused && (bool)json_object_get_boolean(paused) != (s->paused != SCHEDULE_RUNS))
        s->paused = json_object_get_boolean(paused) ? SCHEDULE_PAUSED_BY_CALLER : SCHEDULE_RUNS;
    return true;
}

/* 422 with one problem. */
static bool reject_times(struct request *r, const char *pointer, const char *sentence)
{
    struct json_problems *p = json_problems_new(r);
    json_problems_add(p, pointer, "%s", sentence);
    reply_problems(r, 422, "invalid_schedule", p, "The schedule is never due, or its times are wrong.");
    return false;
}

static bool compile_times(struct request *r, const struct schedule *s, bool is_changed,
                          struct timing *timing_r)
{
    struct cron cron;
    const char *problem = s->cron ? cron_parse(r, s->cron, &cron) : NULL;
    if (problem)
        return reject_times(r, "/cron", problem);
    if (!zone_open(r, s->timezone))
        return reject_times(r, "/timezone", "The time zone database has no zone of this name.");
    if (!schedule_timing(r, s, timing_r))
        return reject_times(r, "/cron", "The expression cannot be read.");
    if (is_changed && timing_next(timing_r, clock_wall_ms()) == TIMING_NEVER)
        return reject_times(r, "", "No time is left: all are in the past, or after end_at.");
    return true;
}

/* Exactly one of workflow_id and skill, when the schedule is made. */
static bool read_target(struct request *r, json_object *body, struct schedule *s)
{
    struct span workflow = json_span(json_get(body, "workflow_id"));
    if (!!json_get(body, "workflow_id") + !!json_get(body, "skill") != 1)
        return request_reject(r, 400, "invalid_request",
                              "Exactly one of workflow_id and skill must be given.");
    if (!read_text(r, body, "skill", SCHEDULE_SLUG_MAX, &s->skill))
        return false;
    s->kind = s->skill ? KIND_SKILL : KIND_WORKFLOW;
    if (!s->skill && (!workflow.at || !id_parse(workflow.at, workflow.size, &s->responder_id)))
        return form_reject_value(r, "workflow_id", "a UUID");
    return true;
}

static bool read_payload(struct request *r, json_object *body, struct schedule *s)
{
    struct run_request sent = {0};
    if (!run_form_read_payload(r, body, &sent))
        return false;
    if (has_member(body, "inputs"))
        s->input = sent.input;
    if (has_member(body, "tags"))
        s->tags = sent.tags;
    if (has_member(body, "metadata"))
        s->metadata = sent.metadata;
    /* inputs act with the rights of whoever wrote them */
    if (has_member(body, "inputs") && !id_equal(&s->principal_id, &r->access.principal_id))
        schedule_form_own(r, s);
    return true;
}

#define SCHEDULE_TIMES "cron every_seconds at timezone start_at end_at jitter_seconds paused"
#define SCHEDULE_MEMBERS "inputs tags metadata overlap catch_up_seconds note " SCHEDULE_TIMES

static bool names_times(json_object *body)
{
    static const char *const names[] = {"cron",   "every_seconds", "at", "timezone", "start_at",
                                        "end_at", "jitter_seconds"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (has_member(body, names[i]))
            return true;
    }
    return false;
}

bool schedule_form_read(struct request *r, struct schedule *s, struct schedule_form *f_r)
{
    json_object *body;
    bool is_new = s->revision == 0;
    if (!request_json(r, &body))
        return false;
    if (!body)
        return request_reject(r, 400, "invalid_request", "The request needs a body.");
    if (!form_members_are_known(r, body, is_new ? "workflow_id skill " SCHEDULE_MEMBERS : SCHEDULE_MEMBERS))
        return false;
    bool is_changed = names_times(body);
    f_r->retimed = is_changed || has_member(body, "paused");
    f_r->has_inputs = is_new || has_member(body, "inputs");
    return (!is_new || read_target(r, body, s)) && read_times(r, body, s) && read_rules(r, body, s) &&
           read_payload(r, body, s) && (!f_r->retimed || compile_times(r, s, is_changed, &f_r->timing));
}

bool schedule_form_read_query(struct request *r, struct schedule *s, struct timing *timing_r)
{
    static const char *const texts[] = {"cron", "at", "timezone", "start_at", "end_at"};
    json_object *times = json_own(r, json_object_new_object());
    int64_t every_s;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *value = request_query(r, texts[i]);
        if (value)
            json_object_object_add(times, texts[i], json_object_new_string(value));
    }
    if (!request_query_int(r, "every_seconds", TIMING_EVERY_MIN_S, TIMING_EVERY_MAX_S, 0, &every_s))
        return false;
    if (every_s > 0)
        json_object_object_add(times, "every_seconds", json_object_new_int64(every_s));
    return read_times(r, times, s) && compile_times(r, s, true, timing_r);
}

bool schedule_form_read_range(struct request *r, int64_t *from_ms_r, int64_t *to_ms_r)
{
    json_object *body;
    *from_ms_r = *to_ms_r = 0;
    if (!request_json(r, &body))
        return false;
    if (!body)
        return request_reject(r, 400, "invalid_request", "The request needs a body.");
    if (!form_members_are_known(r, body, "from to") || !read_time(r, body, "from", from_ms_r) ||
        !read_time(r, body, "to", to_ms_r))
        return false;
    if (*from_ms_r == 0 || *to_ms_r == 0 || *from_ms_r >= *to_ms_r)
        return request_reject(r, 400, "invalid_request",
                              "from and to must be given, and to must be after from.");
    return true;
}
