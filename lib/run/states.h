/* The states of an execution and the allowed moves between them. Only sql/queries/run/states_*.sql write the
 * column `state`. The numbers are stored in MariaDB: add new ones, never renumber. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum run_state {
    STATE_QUEUED = 1,
    STATE_RUNNING = 2,
    STATE_SUCCEEDED = 3,
    STATE_FAILED = 4,
    STATE_STOPPED = 5,
};

enum transition {
    MOVE_CLAIM,        /* queued → running */
    MOVE_SUCCEED,      /* running → succeeded */
    MOVE_FAIL,         /* running → failed */
    MOVE_REQUEUE_LOST, /* running → queued, attempt + 1, lost_count + 1 */
    MOVE_RELEASE,      /* running → queued, attempt + 1 */
    MOVE_STOP,         /* queued, running → stopped */
    MOVE_PARK,         /* running → running, without an executor; no event */
    MOVE_WAKE,         /* running → running, attempt + 1, with an executor; no event */
    MOVE_BEGIN,        /* queued → queued: its start has come, and it can be claimed; no event */
    MOVE_EXPIRE,       /* queued → failed: it was not started by its expiry */
    MOVE_COUNT
};

enum failure_reason {
    REASON_NONE = 0,
    REASON_TIMEOUT = 1,
    REASON_STOPPED = 2,
    REASON_EXECUTOR_LOST = 3,
    REASON_STEP_FAILED = 4,
    REASON_OUTPUTS_INVALID = 5,
    REASON_MEMORY_LIMIT = 6,
    REASON_OUTPUT_LIMIT = 7,
    REASON_INSUFFICIENT_CREDITS = 8,
    REASON_MODEL_ERROR = 9,
    REASON_INTERNAL = 10,
    /* an evaluation needed more work than its budget allows */
    REASON_LIMIT_EXCEEDED = 11,
    /* not started by its expires_at */
    REASON_EXPIRED = 12,
    /* a child did not fit into a budget */
    REASON_BUDGET_EXCEEDED = 13,
};

enum event_type {
    EVENT_QUEUED = 1,
    EVENT_STARTED = 2,
    EVENT_STEP_STARTED = 3,
    EVENT_STEP_SUCCEEDED = 4,
    EVENT_STEP_FAILED = 5,
    EVENT_STEP_SKIPPED = 6,
    EVENT_LOG = 7,
    EVENT_PROGRESS = 8,
    EVENT_ARTIFACT_CREATED = 9,
    EVENT_CHILD_STARTED = 10,
    EVENT_REQUEUED = 11,
    EVENT_SUCCEEDED = 12,
    EVENT_FAILED = 13,
    EVENT_STOPPED = 14,
    EVENT_STEP_RETRYING = 15,
    EVENT_ARTIFACTS_REFUSED = 16,
    EVENT_FILES_MISSING = 17,
    EVENT_MOVED = 18,
    EVENT_STEP_ADOPTED = 19,
    EVENT_STEP_WAITING = 20,
    EVENT_SIGNAL_REJECTED = 21,
};

/* `executor_id` of a queued run that waits for its start. No executor gets this id. */
#define RUN_DELAYED_EXECUTOR ((uint64_t)INT64_MAX)

/* What a parked run waits for; WAIT_START: a queued one. */
enum wait_reason {
    WAIT_DELAY = 1,
    WAIT_BACKOFF = 2,
    WAIT_CHILD = 3,
    WAIT_SIGNAL = 4,
    WAIT_START = 5,
};

enum step_status {
    STEP_STATUS_PENDING = 0, /* not stored: a pending step has no row */
    STEP_STATUS_RUNNING = 1,
    STEP_STATUS_COMPLETED = 2,
    STEP_STATUS_FAILED = 3,
    STEP_STATUS_SKIPPED = 4,
};

/* Bits of executions.side_rows: it has a row in run_times, or one in execution_retries that says who retried
 * it. */
enum side_rows { SIDE_ROWS_TIMES = 1, SIDE_ROWS_RETRIES = 2 };

enum responder_kind { KIND_WORKFLOW = 1, KIND_SKILL = 2 };
enum run_source { SOURCE_STANDALONE = 1, SOURCE_CHAT = 2, SOURCE_WORKFLOW = 3, SOURCE_SKILL = 4 };

/* True if `move` is allowed in state `from`; *to_r is the state it leads to. */
bool state_may(enum run_state from, enum transition move, enum run_state *to_r);
bool state_is_terminal(enum run_state s);
/* The event that a move adds; 0: none. */
enum event_type state_event(enum transition move);

/* "queued" …; "unknown" for a number outside the enum. */
const char *state_name(enum run_state s);
/* The status words of the workflow API: "running" (also while queued), "success", "failed", "stopped". */
const char *state_status(enum run_state s);
/* "timeout" …; NULL for REASON_NONE. */
const char *reason_name(enum failure_reason r);
/* "execution.queued" …; "unknown" for a type of a later version. */
const char *event_name(enum event_type t);
/* False: a later version has written it. */
bool event_is_known(enum event_type t);
/* "pending", "running", "completed", "failed", "skipped" */
const char *step_status_name(enum step_status s);
/* "chat", "standalone", "workflow", "skill" */
const char *source_name(enum run_source s);

/* Parses the value of a filter: the name of a state, or a status word, which may stand for two states.
 * Returns how many states were written (at most 1 or 2); 0: no such word. */
int state_from_name(const char *name, enum run_state *state_r);
int states_from_status(const char *status, enum run_state states_r[2]);
