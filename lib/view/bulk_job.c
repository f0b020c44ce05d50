#include "view/bulk_job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void write_reasons(struct json_write *w, const struct bulk_job *job, enum bulk_outcome outcome)
{
    json_write_key(w, bulk_outcome_name(outcome));
    json_write_open(w, '{');
    for (int reason = BULK_NO_REASON + 1; reason < BULK_REASONS; reason++) {
        if (job->counts[outcome][reason] > 0)
            json_write_int(w, bulk_reason_name((enum bulk_reason)reason), job->counts[outcome][reason]);
    }
    json_write_close(w, '}');
}

static void write_progress(struct json_write *w, const struct bulk_job *job)
{
    json_write_key(w, "progress");
    json_write_open(w, '{');
    json_write_int(w, "matched", job->matched);
    for (int outcome = BULK_PENDING; outcome < BULK_OUTCOMES; outcome++)
        json_write_int(w, bulk_outcome_name((enum bulk_outcome)outcome),
                       bulk_job_count(job, (enum bulk_outcome)outcome));
    json_write_key(w, "reasons");
    json_write_open(w, '{');
    write_reasons(w, job, BULK_SKIPPED);
    write_reasons(w, job, BULK_FAILED);
    json_write_close(w, '}');
    json_write_close(w, '}');
}

/* A running job has a reason only while it waits. */
static const char *shown_reason(const struct bulk_job *job)
{
    bool waits = job->state == BULK_PAUSED || job->due_ms > job->now_ms;
    return waits ? bulk_reason_name(job->reason) : NULL;
}

void view_bulk_job(struct json_write *w, const struct bulk_job *job)
{
    json_write_open(w, '{');
    json_write_id(w, "id", &job->id);
    json_write_text(w, "action", bulk_action_name(job->action));
    json_write_text(w, "state", bulk_state_name(job->state));
    json_write_text(w, "reason", shown_reason(job));
    json_write_json(w, "filter", job->filter);
    json_write_text(w, "from", job->from);
    json_write_text(w, "version", job->action == BULK_RETRY ? job->is_current ? "current" : "same" : NULL);
    write_progress(w, job);
    json_write_flag(w, "truncated", job->is_truncated);
    json_write_time(w, "created_at", job->created_ms, false);
    json_write_time(w, "updated_at", job->updated_ms, false);
    json_write_time(w, "ended_at", job->ended_ms, false);
    json_write_close(w, '}');
}

void view_bulk_item(struct json_write *w, const struct bulk_item *item)
{
    json_write_open(w, '{');
    json_write_id(w, "execution_id", &item->execution_id);
    json_write_text(w, "outcome", bulk_outcome_name(item->outcome));
    json_write_text(w, "reason", bulk_reason_name(item->reason));
    json_write_id(w, "new_execution_id", &item->result_id);
    json_write_time(w, "decided_at", item->decided_ms, false);
    json_write_close(w, '}');
}

void view_bulk_preview(struct json_write *w, enum bulk_action action, const struct bulk_preview *preview)
{
    enum { COUNT_MAX = 24 };
    char count[COUNT_MAX];
    bool is_full = preview->is_more && preview->matched == BULK_PREVIEW_MAX;
    snprintf(count, sizeof count, "%" PRId64 "%s", preview->matched, preview->is_more ? "+" : "");
    json_write_open(w, '{');
    json_write_flag(w, "dry_run", true);
    json_write_text(w, "action", bulk_action_name(action));
    json_write_int(w, "matched", preview->matched);
    json_write_text(w, "matched_text", is_full ? "10,000+" : count);
    json_write_key(w, "sample");
    json_write_open(w, '[');
    for (size_t i = 0; i < preview->sample_n; i++)
        json_write_bytes(w, preview->sample[i].text, strlen(preview->sample[i].text));
    json_write_close(w, ']');
    json_write_close(w, '}');
}
