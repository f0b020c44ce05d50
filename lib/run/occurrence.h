/* The occurrences of schedules: what the accepting transaction decides about them. A request whose
 * `occurrence.schedule_id` is set is started by a schedule; its occurrence is a row that this transaction
 * writes, whether the run is accepted or refused. docs/schedules.md states the rules and their failures. The
 * numbers are stored in MariaDB: add new ones, never renumber. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"

enum occurrence_origin { ORIGIN_SCHEDULE = 1, ORIGIN_TRIGGER = 2, ORIGIN_BACKFILL = 3 };

enum occurrence_state {
    OCCURRENCE_STARTED = 1,
    /* for the end of an active run (queue_one) */
    OCCURRENCE_WAITING = 2,
    OCCURRENCE_SKIPPED = 3,
    /* later than the schedule catches up */
    OCCURRENCE_MISSED = 4,
    OCCURRENCE_REFUSED = 5,
};

enum occurrence_reason {
    OCCURRENCE_NO_REASON = 0,
    OCCURRENCE_OVERLAP = 1,
    OCCURRENCE_LATE = 2,
    OCCURRENCE_INSUFFICIENT_CREDITS = 3,
    OCCURRENCE_CONCURRENCY_LIMITED = 4,
    OCCURRENCE_ARCHIVED = 5,
    OCCURRENCE_INVALID_INPUTS = 6,
    OCCURRENCE_BUDGET_EXCEEDED = 7,
};

/* What happens to an occurrence while a run of the schedule is queued or running. */
enum overlap { OVERLAP_SKIP = 1, OVERLAP_QUEUE_ONE = 2, OVERLAP_ALLOW = 3, OVERLAP_STOP_PREVIOUS = 4 };

enum schedule_pause { SCHEDULE_RUNS = 0, SCHEDULE_PAUSED_BY_CALLER = 1, SCHEDULE_PAUSED_KEY_REVOKED = 2 };

struct occurrence {
    id schedule_id;
    int64_t nominal_ms;
    /* Of the schedule's row when the request was prepared; not compared for ORIGIN_TRIGGER. */
    int64_t revision;
    enum occurrence_origin origin;
    /* Why the caller does not want a run: late, archived or invalid inputs. The row is written all the same.
     */
    enum occurrence_reason refused;
    /* What the schedule's next_ms and due_ms become, by any decision; 0: no occurrence is left. A trigger or
     * backfill leaves them as they were read. */
    int64_t next_ms, due_ms;
};

/* "started" …, "insufficient_credits" …; NULL for a number outside the enum, and for OCCURRENCE_NO_REASON. */
const char *occurrence_state_name(enum occurrence_state state);
const char *occurrence_reason_name(enum occurrence_reason reason);
const char *overlap_name(enum overlap overlap);
/* 0: no such word. */
enum overlap overlap_from_name(const char *name);
