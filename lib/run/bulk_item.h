/* Items of bulk jobs: what becomes of each run of a job is written once, by the transaction that acts on the
 * run. So a retry is accepted at most once however often an executor tries (docs/bulk-jobs.md). The numbers
 * are stored in MariaDB: add new ones, never renumber. */
#pragma once

#include "base/ids.h"
#include "mariadb/db.h"

enum bulk_action { BULK_STOP = 1, BULK_RETRY = 2, BULK_PURGE = 3 };

enum bulk_state {
    /* The runs that match are being written down. */
    BULK_COLLECTING = 1,
    BULK_RUNNING = 2,
    BULK_PAUSED = 3,
    BULK_COMPLETED = 4,
    BULK_CANCELLED = 5,
};

enum bulk_outcome {
    BULK_PENDING = 0,
    BULK_DONE = 1,
    /* The run no longer matches, or the action does not apply to it. */
    BULK_SKIPPED = 2,
    BULK_FAILED = 3,
    BULK_OUTCOMES
};

/* Of items that are skipped or failed, and of a job that is paused or waits. */
enum bulk_reason {
    BULK_NO_REASON = 0,
    /* Its state is no longer one that the filter or the action takes. */
    BULK_STATE_CHANGED = 1,
    /* Retention has removed it. */
    BULK_REMOVED = 2,
    BULK_PURGED = 3,
    /* A retry of a run that another run has started. */
    BULK_CHILD = 4,
    /* The job's key may not act on runs of this kind. */
    BULK_SCOPE = 5,
    /* Its workflow or skill was archived or removed. */
    BULK_ARCHIVED = 6,
    BULK_INVALID_INPUTS = 7,
    BULK_MODEL_NOT_ALLOWED = 8,
    /* The retry cannot begin at `from`. */
    BULK_FROM_NOT_POSSIBLE = 9,
    /* `from` and `version` are for workflows. */
    BULK_NOT_FOR_SKILLS = 10,
    BULK_INTERNAL = 11,
    /* Of jobs: 402; the key was revoked or has expired; 429; 402 of a budget. */
    BULK_INSUFFICIENT_CREDITS = 12,
    BULK_KEY_REVOKED = 13,
    BULK_CONCURRENCY_LIMITED = 14,
    BULK_BUDGET_EXCEEDED = 15,
    BULK_REASONS
};

struct bulk_decision {
    id execution_id;
    enum bulk_outcome outcome;
    enum bulk_reason reason;
    /* The run that a retry has started; may be unset. */
    id result_id;
};

/* Writes what became of the items, after all other locks of the transaction. An item that was decided before
 * stays as it is. */
enum err bulk_items_decide(struct db_tx *tx, const id *job, const struct bulk_decision *list,
                           size_t n) WARN_UNUSED;

/* "stop" …, "collecting" …, "pending" …, "state_changed" …; NULL for a number outside the enum and for
 * BULK_NO_REASON. */
const char *bulk_action_name(enum bulk_action action);
const char *bulk_state_name(enum bulk_state state);
const char *bulk_outcome_name(enum bulk_outcome outcome);
const char *bulk_reason_name(enum bulk_reason reason);
/* False: no such word. */
bool bulk_action_from_name(const char *name, enum bulk_action *action_r);
bool bulk_outcome_from_name(const char *name, enum bulk_outcome *outcome_r);
