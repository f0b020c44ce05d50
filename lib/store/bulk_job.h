/* Bulk jobs: one action on every run that a filter matches (docs/bulk-jobs.md). What becomes of a single run
 * is written by the transaction that acts on it (lib/run/bulk_item.h). Results are allocated on ctx. */
#pragma once

#include "account/idempotency.h"
#include "base/span.h"
#include "run/bulk_item.h"
#include "store/execution_list.h"
#include "store/quota.h"

enum {
    /* Items that one transaction writes down. */
    BULK_COLLECT_MAX = 100,
    /* A preview counts no further, and looks at no more windows of runs (execution_list_window). */
    BULK_PREVIEW_MAX = 10000,
    BULK_PREVIEW_WINDOWS = 20,
    BULK_SAMPLE_MAX = 20,
};

struct bulk_job {
    id id, workspace_id, principal_id, key_id;
    enum bulk_action action;
    enum bulk_state state;
    /* Why it is paused, or waits until due_ms. */
    enum bulk_reason reason;
    /* Bit 1 << kind: the key may act on runs of this kind. */
    unsigned kinds;
    /* Compact JSON. */
    const char *filter;
    /* As read; `states` is always set. `below` is the next id to collect, `above` and the others are the
     * filter's. */
    struct execution_filter selection;
    /* Of a retry, as in a single one; NULL: from the beginning. */
    const char *from;
    bool is_current;
    int64_t matched;
    bool is_collected, is_truncated;
    /* Wall time of MariaDB; 0: none. */
    int64_t due_ms, created_ms, updated_ms, ended_ms, now_ms;
    bool has_valid_key;
    /* A later version has made it: this one does not know its action, its state or all of its filter, and
     * must not act on it. */
    bool is_of_later_version;
    /* Decided items by outcome and reason; read by bulk_job_get and bulk_job_list. */
    int64_t counts[BULK_OUTCOMES][BULK_REASONS];
};

/* Items with this outcome; of BULK_PENDING: those that are collected and not decided. */
int64_t bulk_job_count(const struct bulk_job *job, enum bulk_outcome outcome);

/* What a filter matches now. */
struct bulk_preview {
    /* At most BULK_PREVIEW_MAX. */
    int64_t matched;
    /* More match, or more may match: the preview has ended before the last run. */
    bool is_more;
    /* The newest. */
    id sample[BULK_SAMPLE_MAX];
    size_t sample_n;
};
enum err bulk_job_preview(struct db *db, void *ctx, const id *workspace,
                          const struct execution_filter *filter, struct bulk_preview *preview_r) WARN_UNUSED;

struct bulk_job_new {
    struct bulk_job job;
    /* Absent: none. */
    struct span idempotency_key;
    uint8_t fingerprint[IDEMPOTENCY_FINGERPRINT];
    /* What a repetition of this request gets. */
    struct stored_response first_response;
    /* Names the default quotas. */
    const struct config *config;
};
struct bulk_job_outcome {
    /* The job was made if the key is IDEMPOTENCY_FREE. */
    struct idempotency_match key;
    /* Of ERR_LIMIT. */
    struct quota_excess excess;
};
/* One transaction under the account's lock: a run that is accepted later is no part of the job. ERR_LIMIT:
 * the quota of jobs would be exceeded. */
enum err bulk_job_create(struct db *db, void *ctx, const struct bulk_job_new *c,
                         struct bulk_job_outcome *outcome_r) WARN_UNUSED;

/* ERR_NOT_FOUND: the workspace has no such job. */
enum err bulk_job_get(struct db *db, void *ctx, const id *workspace, const id *job,
                      struct bulk_job *job_r) WARN_UNUSED;
/* At most `limit` jobs, newest first, older than `after` if it is set. Their `selection` is not read. */
enum err bulk_job_list(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                       struct bulk_job **list_r, size_t *count_r) WARN_UNUSED;
/* ERR_CONFLICT: it has ended. ERR_NOT_FOUND as above. */
enum err bulk_job_cancel(struct db *db, void *ctx, const id *workspace, const id *job) WARN_UNUSED;
/* Lets a paused job go on with the caller's principal and key, which may act on runs of `kinds`. Errors as
 * above; ERR_CONFLICT: it is not paused. */
struct bulk_caller {
    id principal_id, key_id;
    unsigned kinds;
};
enum err bulk_job_resume(struct db *db, void *ctx, const id *workspace, const id *job,
                         const struct bulk_caller *caller) WARN_UNUSED;

struct bulk_item {
    id execution_id, result_id;
    enum bulk_outcome outcome;
    enum bulk_reason reason;
    int64_t decided_ms;
};
struct bulk_item_page {
    const id *job;
    /* Items with higher execution ids; unset: from the first. */
    id after;
    /* With `is_filtered`, of this outcome only. */
    bool is_filtered;
    enum bulk_outcome outcome;
    int64_t limit;
};
/* Oldest run first. The caller must have found the job in its workspace. */
enum err bulk_item_list(struct db *db, void *ctx, const struct bulk_item_page *page,
                        struct bulk_item **list_r, size_t *count_r) WARN_UNUSED;

/* --- for the executors --- */

/* The oldest due job of the next workspace after `after` that has one. ERR_NOT_FOUND: none. */
enum err bulk_job_next(struct db *db, void *ctx, const id *after, struct bulk_job *job_r) WARN_UNUSED;
/* Looks at the next window of runs (execution_list_window) and writes down those that match, BULK_COLLECT_MAX
 * in a transaction; after the last one, or `items_max` of them, the job runs. *n_r: how many. ERR_CONFLICT:
 * the job was changed since it was read. */
enum err bulk_job_collect(struct db *db, const struct bulk_job *job, int64_t items_max,
                          size_t *n_r) WARN_UNUSED;
/* At most `limit` items that are not decided, oldest run first. */
enum err bulk_job_pending(struct db *db, void *ctx, const id *job, int64_t limit, id **ids_r,
                          size_t *count_r) WARN_UNUSED;
/* Writes decisions that no other transaction writes. */
enum err bulk_job_decide(struct db *db, const id *job, const struct bulk_decision *list,
                         size_t n) WARN_UNUSED;
/* Ends a job that has no pending item. */
enum err bulk_job_complete(struct db *db, const id *job) WARN_UNUSED;
/* Pauses it until a caller resumes it. */
enum err bulk_job_pause(struct db *db, const id *job, enum bulk_reason reason) WARN_UNUSED;
/* It is due again in `ms`. */
enum err bulk_job_delay(struct db *db, const id *job, enum bulk_reason reason, int64_t ms) WARN_UNUSED;
