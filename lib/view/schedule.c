#include "view/schedule.h"

static void write_raw(struct json_write *w, const char *key, struct span text)
{
    json_write_key(w, key);
    if (text.at)
        json_write_raw(w, text.at, text.size);
    else
        json_write_null(w);
}

static void write_optional(struct json_write *w, const char *key, int64_t number)
{
    if (number > 0) {
        json_write_int(w, key, number);
        return;
    }
    json_write_key(w, key);
    json_write_null(w);
}

static const char *schedule_state(const struct schedule *s)
{
    if (s->paused != SCHEDULE_RUNS)
        return "paused";
    return s->next_ms > 0 || s->waiting_ms > 0 ? "active" : "finished";
}

static const char *pause_reason(enum schedule_pause paused)
{
    static const char *const names[] = {
        [SCHEDULE_RUNS] = NULL,
        [SCHEDULE_PAUSED_BY_CALLER] = "caller",
        [SCHEDULE_PAUSED_KEY_REVOKED] = "key_revoked",
    };
    return (unsigned)paused < sizeof names / sizeof *names ? names[paused] : NULL;
}

void view_schedule(struct json_write *w, const struct schedule *s)
{
    json_write_open(w, '{');
    json_write_id(w, "id", &s->id);
    const id no_workflow = {{0}};
    json_write_id(w, "workflow_id", s->skill ? &no_workflow : &s->responder_id);
    json_write_text(w, "skill", s->skill);
    write_raw(w, "inputs", s->input);
    write_raw(w, "tags", s->tags);
    write_raw(w, "metadata", s->metadata);
    json_write_text(w, "cron", s->cron);
    write_optional(w, "every_seconds", s->every_s);
    json_write_time(w, "at", s->at_ms, false);
    json_write_text(w, "timezone", s->timezone);
    json_write_int(w, "jitter_seconds", s->jitter_s);
    json_write_text(w, "overlap", overlap_name(s->overlap));
    json_write_int(w, "catch_up_seconds", s->catch_up_s);
    json_write_time(w, "start_at", s->start_ms, false);
    json_write_time(w, "end_at", s->end_ms, false);
    json_write_flag(w, "paused", s->paused != SCHEDULE_RUNS);
    json_write_text(w, "pause_reason", pause_reason(s->paused));
    json_write_text(w, "state", schedule_state(s));
    json_write_time(w, "next_at", s->paused == SCHEDULE_RUNS ? s->next_ms : 0, false);
    json_write_text(w, "note", s->note);
    json_write_id(w, "principal_id", &s->principal_id);
    json_write_time(w, "created_at", s->created_ms, false);
    json_write_time(w, "updated_at", s->updated_ms, false);
    json_write_close(w, '}');
}

static const char *origin_name(enum occurrence_origin origin)
{
    return origin == ORIGIN_TRIGGER ? "trigger" : origin == ORIGIN_BACKFILL ? "backfill" : "schedule";
}

void view_occurrence(struct json_write *w, const struct occurrence_row *o)
{
    json_write_open(w, '{');
    json_write_time(w, "scheduled_for", o->nominal_ms, false);
    json_write_text(w, "origin", origin_name(o->origin));
    json_write_text(w, "state", occurrence_state_name(o->state));
    json_write_text(w, "reason", occurrence_reason_name(o->reason));
    json_write_id(w, "execution_id", &o->execution_id);
    json_write_time(w, "decided_at", o->decided_ms, false);
    json_write_close(w, '}');
}
