/* Schedules: rows, and what the scheduler reads of them (docs/schedules.md). Occurrences are written by the
 * accepting transaction (lib/run/accept_occurrence.c). Results are allocated on ctx. */
#pragma once

#include "account/once.h"
#include "base/span.h"
#include "mariadb/db.h"
#include "redis/redis.h"
#include "run/occurrence.h"
#include "run/states.h"
#include "schedule/timing.h"
#include "store/quota.h"

enum {
    /* The largest `catch_up_seconds`. */
    SCHEDULE_CATCH_UP_MAX_S = 7 * 24 * 3600,
    SCHEDULE_BACKFILL_MAX = 1000,
    /* An occurrence is not late before, whatever `catch_up_seconds` says: the scheduler needs time itself. */
    SCHEDULE_GRACE_S = 60,
};

struct schedule {
    id id, workspace_id, principal_id, key_id, responder_id;
    enum responder_kind kind;
    /* Slug; NULL: it runs a workflow. */
    const char *skill;
    enum timing_kind timing;
    /* NULL unless TIMING_CRON */
    const char *cron;
    const char *timezone;
    /* 0: not set */
    int64_t every_s, at_ms, anchor_ms, start_ms, end_ms;
    int jitter_s, catch_up_s;
    enum overlap overlap;
    /* The next nominal time, when it is decided, and the occurrence that waits; 0: none. */
    int64_t next_ms, due_ms, waiting_ms;
    /* The next occurrence of the backfill in progress; 0: none. */
    int64_t backfill_ms;
    int64_t revision;
    /* JSON as sent; absent: none */
    struct span input, tags, metadata;
    const char *note;
    enum schedule_pause paused;
    int64_t created_ms, updated_ms;
    /* MariaDB's clock when the row was read. */
    int64_t now_ms;
};

/* At most `limit` schedules that are due by MariaDB's clock: workspaces in turn, longest due first. */
enum err schedule_find_due(struct db *db, void *ctx, int64_t limit, struct schedule **list_r,
                           size_t *count_r) WARN_UNUSED;
/* At most `limit` schedules with an occurrence that waits, and none of whose runs is active. */
enum err schedule_find_waiting(struct db *db, void *ctx, int64_t limit, struct schedule **list_r,
                               size_t *count_r) WARN_UNUSED;
/* At most `limit` schedules with a backfill none of whose runs is active. */
enum err schedule_find_backfills(struct db *db, void *ctx, int64_t limit, struct schedule **list_r,
                                 size_t *count_r) WARN_UNUSED;
/* Stops the runs of a schedule that are queued or running, each in its own transaction (RUN_STOP_PREVIOUS). A
 * run that could not be stopped is logged. */
void schedule_stop_active(struct db *db, struct redis *redis, void *ctx, const id *workspace,
                          const id *schedule);

/* The schedule's times. False: the row cannot be read, because the time zone database no longer has its zone.
 */
bool schedule_timing(void *ctx, const struct schedule *s, struct timing *timing_r) WARN_UNUSED;
/* `extra` of a workflow's run: the nominal time, for ${/execution/scheduled_for}. */
struct span schedule_run_extra(void *ctx, int64_t nominal_ms);
/* The occurrence that is due: nominal time, whether it is too late, and what the schedule's row becomes. If
 * it is too late, the next one is the first that is not. */
struct occurrence schedule_due_occurrence(const struct schedule *s, const struct timing *timing);
/* Pauses by the caller, or resumes from now on: the times of the pause are not caught up. False: as
 * schedule_timing. */
bool schedule_set_paused(void *ctx, struct schedule *s, bool paused) WARN_UNUSED;
/* True: the time of the next occurrence has come, and nobody has decided it yet. */
bool schedule_is_pending(const struct schedule *s);
/* Sets next_ms and due_ms: the first time after `after_ms`. */
void schedule_set_next(struct schedule *s, const struct timing *timing, int64_t after_ms);

/* ERR_NOT_FOUND: the workspace has no such schedule. */
enum err schedule_get(struct db *db, void *ctx, const id *workspace, const id *schedule,
                      struct schedule *s_r) WARN_UNUSED;
/* At most `limit` schedules, newest first, older than `after` if it is set. */
enum err schedule_list(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                       struct schedule **list_r, size_t *count_r) WARN_UNUSED;

struct schedule_new {
    struct schedule schedule;
    /* Absent: none. */
    struct span idempotency_key;
    uint8_t fingerprint[IDEMPOTENCY_FINGERPRINT];
    /* What a repetition of this request gets. */
    struct stored_response first_response;
    /* Names the default quotas. */
    const struct config *config;
};
struct schedule_outcome {
    /* The schedule was made if the key is IDEMPOTENCY_FREE. */
    struct idempotency_match key;
    /* Of ERR_LIMIT. */
    struct quota_excess excess;
};
/* One transaction under the account's lock. ERR_LIMIT: the quota would be exceeded. */
enum err schedule_create(struct db *db, void *ctx, const struct schedule_new *c,
                         struct schedule_outcome *outcome_r) WARN_UNUSED;
/* Writes what a caller may change. ERR_CONFLICT: the row was changed, decided or deleted since it was read;
 * read it again. */
enum err schedule_write(struct db *db, const struct schedule *s) WARN_UNUSED;
/* Runs that are active continue. ERR_NOT_FOUND: none. */
enum err schedule_delete(struct db *db, const id *workspace, const id *schedule) WARN_UNUSED;

struct schedule_backfill {
    const id *workspace, *schedule;
    /* Nominal times, ascending. */
    const int64_t *times;
    size_t n;
};
/* Lets the scheduler start the times that have no occurrence yet, or a missed one, one after the other.
 * *added_r: how many. ERR_CONFLICT: a backfill of the schedule is in progress. ERR_NOT_FOUND: no such
 * schedule. */
enum err schedule_backfill(struct db *db, const struct schedule_backfill *b, size_t *added_r,
                           struct once *once) WARN_UNUSED;

struct occurrence_row {
    int64_t nominal_ms, decided_ms;
    enum occurrence_origin origin;
    enum occurrence_state state;
    enum occurrence_reason reason;
    /* Of OCCURRENCE_STARTED. */
    id execution_id;
};
/* At most `limit` occurrences with a nominal time before `before_ms`, newest first. */
enum err occurrence_list(struct db *db, void *ctx, const id *workspace, const id *schedule, int64_t before_ms,
                         int64_t limit, struct occurrence_row **list_r, size_t *count_r) WARN_UNUSED;
