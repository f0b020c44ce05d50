#include "executor/lease/scheduler.h"

#include <inttypes.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "otlp/otlp.h"
#include "run/accept.h"
#include "service/worker_step.h"
#include "store/schedule.h"

/* Of a batch; the rest is left to occurrences that have waited and to backfills. */
enum { DUE_MAX = ACCEPT_GROUP_MAX * 3 / 4 };

enum schedule_kind { KIND_DUE, KIND_WAITING, KIND_BACKFILL, SCHEDULE_KINDS };

struct scheduler {
    struct run_targets *targets;
    const struct otlp *otlp;
    /* Each kind fails by itself. */
    struct worker_step kinds[SCHEDULE_KINDS];
};

struct scheduler *scheduler_new(void *ctx, struct run_targets *targets, const struct otlp *otlp)
{
    struct scheduler *s = talloc_zero(ctx, struct scheduler);
    s->targets = targets;
    s->otlp = otlp;
    s->kinds[KIND_DUE] = (struct worker_step){.worker = "schedules", .name = "due"};
    s->kinds[KIND_WAITING] = (struct worker_step){.worker = "schedules", .name = "waiting"};
    s->kinds[KIND_BACKFILL] = (struct worker_step){.worker = "schedules", .name = "backfill"};
    return s;
}

/* --- preparing: what accept_batch leaves to its callers --- */

static struct run_request base_request(void *ctx, const struct schedule *schedule, const struct occurrence *o)
{
    return (struct run_request){
        .execution_id = id_new(),
        .workspace_id = schedule->workspace_id,
        .principal_id = schedule->principal_id,
        .key_id = schedule->key_id,
        .responder_id = schedule->responder_id,
        .kind = schedule->kind,
        .source = SOURCE_STANDALONE,
        .price = -1,
        .input = schedule->input,
        .tags = schedule->tags,
        .metadata = schedule->metadata,
        .extra = schedule->skill ? (struct span){0} : schedule_run_extra(ctx, o->nominal_ms),
        .occurrence = *o,
    };
}

/* False: MariaDB could not answer, or the compute thread is not finished with it, so the occurrence stays
 * due.
 */
static bool prepare_occurrence(struct scheduler *s, void *ctx, const struct schedule *schedule,
                               struct run_request *req)
{
    enum err e = OK;
    if (!req->occurrence.refused)
        e = schedule->skill ? run_target_skill(s->targets, ctx, schedule->skill, req)
                            : run_target_workflow(s->targets, req);
    if (e == ERR_NOT_FOUND)
        req->occurrence.refused = OCCURRENCE_ARCHIVED;
    else if (e == ERR_INVALID)
        req->occurrence.refused = OCCURRENCE_INVALID_INPUTS;
    /* no run: its version is not compared */
    req->pinned = req->occurrence.refused != OCCURRENCE_NO_REASON;
    return e == OK || req->pinned;
}

/* --- deciding --- */

/* True if the schedule's row has changed, so that it is not due as it was. */
static bool finish_occurrence(struct db *db, struct redis *redis, void *ctx, const struct run_request *req,
                              const struct run_answer *answer)
{
    switch (answer->verdict) {
    case RUN_ACCEPTED:
        log_info("schedule.started", "schedule=%s nominal_ms=%" PRId64 " execution=%s",
                 req->occurrence.schedule_id.text, req->occurrence.nominal_ms, req->execution_id.text);
        return true;
    case RUN_SCHEDULE_KEY_REVOKED:
        log_warn("schedule.paused", "schedule=%s reason=key_revoked", req->occurrence.schedule_id.text);
        return true;
    case RUN_STOP_PREVIOUS: /* and it is decided again */
        schedule_stop_active(db, redis, ctx, &req->workspace_id, &req->occurrence.schedule_id);
        return true;
    case RUN_OVERLAP:
    case RUN_CONCURRENCY_LIMITED: /* a backfill waits on */
        return req->occurrence.origin != ORIGIN_BACKFILL;
    case RUN_INSUFFICIENT_CREDITS:
    case RUN_BUDGET_EXCEEDED:
    case RUN_OCCURRENCE_REFUSED:
    case RUN_OCCURRENCE_EXISTS:
        return true;
    default: /* busy, stale, unavailable: it is read anew */
        return false;
    }
}

struct scheduler_batch {
    struct run_request requests[ACCEPT_GROUP_MAX];
    size_t n;
};

static void add_occurrence(struct scheduler *s, void *ctx, struct scheduler_batch *b,
                           const struct schedule *schedule, const struct occurrence *o)
{
    struct run_request *req = &b->requests[b->n];
    *req = base_request(ctx, schedule, o);
    (void)otlp_decide(s->otlp, &req->execution_id, NULL, NULL, &req->trace);
    b->n += prepare_occurrence(s, ctx, schedule, req);
}

static enum err gather_due(struct scheduler *s, struct db *db, void *ctx, struct scheduler_batch *b)
{
    struct schedule *list;
    size_t n;
    enum err e = schedule_find_due(db, ctx, DUE_MAX, &list, &n);
    for (size_t i = 0; e == OK && i < n; i++) {
        struct timing timing;
        if (!schedule_timing(ctx, &list[i], &timing)) {
            log_error("schedule.read_failed", "schedule=%s timezone=%s", list[i].id.text, list[i].timezone);
            continue;
        }
        struct occurrence o = schedule_due_occurrence(&list[i], &timing);
        add_occurrence(s, ctx, b, &list[i], &o);
    }
    return e;
}

typedef enum err finder(struct db *db, void *ctx, int64_t limit, struct schedule **list_r, size_t *count_r);

/* Occurrences that waited for the end of a run: they leave the times of their schedules alone. */
static enum err gather_waiting(struct scheduler *s, struct db *db, void *ctx, struct scheduler_batch *b,
                               finder *find, enum occurrence_origin origin)
{
    struct schedule *list;
    size_t n;
    if (b->n == ACCEPT_GROUP_MAX)
        return OK;
    enum err e = find(db, ctx, (int64_t)(ACCEPT_GROUP_MAX - b->n), &list, &n);
    for (size_t i = 0; e == OK && i < n; i++) {
        struct occurrence o = {
            .schedule_id = list[i].id,
            .nominal_ms = origin == ORIGIN_BACKFILL ? list[i].backfill_ms : list[i].waiting_ms,
            .revision = list[i].revision,
            .origin = origin,
            .next_ms = list[i].next_ms,
            .due_ms = list[i].due_ms,
        };
        add_occurrence(s, ctx, b, &list[i], &o);
    }
    return e;
}

static enum err gather_kind(struct scheduler *s, struct db *db, void *ctx, struct scheduler_batch *b,
                            enum schedule_kind kind)
{
    switch (kind) {
    case KIND_DUE:
        return gather_due(s, db, ctx, b);
    case KIND_WAITING:
        return gather_waiting(s, db, ctx, b, schedule_find_waiting, ORIGIN_SCHEDULE);
    default:
        return gather_waiting(s, db, ctx, b, schedule_find_backfills, ORIGIN_BACKFILL);
    }
}

/* A kind that cannot be read does not keep the others waiting. */
static void gather(struct scheduler *s, struct db *db, void *ctx, struct scheduler_batch *b)
{
    for (int i = 0; i < SCHEDULE_KINDS; i++) {
        if (worker_step_is_due(&s->kinds[i], clock_boot_ms()))
            worker_step_end(&s->kinds[i], gather_kind(s, db, ctx, b, (enum schedule_kind)i), clock_boot_ms());
    }
}

void scheduler_step(struct scheduler *s, struct db *db, struct redis *redis, size_t *n_r, bool *more_r)
{
    void *ctx = talloc_new(NULL);
    struct scheduler_batch *b = talloc_zero(ctx, struct scheduler_batch);
    const struct run_request *requests[ACCEPT_GROUP_MAX];
    struct run_answer answers[ACCEPT_GROUP_MAX];
    size_t done = 0;
    run_targets_begin(s->targets, db);
    gather(s, db, ctx, b);
    for (size_t i = 0; i < b->n; i++)
        requests[i] = &b->requests[i];
    if (b->n > 0) {
        accept_batch(db, redis, ctx, requests, b->n, 0, answers);
        for (size_t i = 0; i < b->n; i++)
            done += finish_occurrence(db, redis, ctx, &b->requests[i], &answers[i]);
    }
    *n_r = done;
    *more_r = done > 0 || run_targets_have_deferred(s->targets);
    talloc_free(ctx);
}
