#include "run/states.h"

#include <stddef.h>
#include <string.h>

/* [present state][move] is the new state; 0: not allowed. */
static const enum run_state transitions[STATE_STOPPED + 1][MOVE_COUNT] = {
    [STATE_QUEUED] = {[MOVE_CLAIM] = STATE_RUNNING,
                      [MOVE_STOP] = STATE_STOPPED,
                      [MOVE_BEGIN] = STATE_QUEUED,
                      [MOVE_EXPIRE] = STATE_FAILED},
    [STATE_RUNNING] = {[MOVE_SUCCEED] = STATE_SUCCEEDED,
                       [MOVE_FAIL] = STATE_FAILED,
                       [MOVE_REQUEUE_LOST] = STATE_QUEUED,
                       [MOVE_RELEASE] = STATE_QUEUED,
                       [MOVE_STOP] = STATE_STOPPED,
                       [MOVE_PARK] = STATE_RUNNING,
                       [MOVE_WAKE] = STATE_RUNNING},
};

bool state_may(enum run_state from, enum transition move, enum run_state *to_r)
{
    if (from > STATE_STOPPED || move >= MOVE_COUNT || transitions[from][move] == 0)
        return false;
    *to_r = transitions[from][move];
    return true;
}

bool state_is_terminal(enum run_state s)
{
    return s >= STATE_SUCCEEDED;
}

enum event_type state_event(enum transition move)
{
    static const enum event_type events[MOVE_COUNT] = {
        [MOVE_CLAIM] = EVENT_STARTED,         [MOVE_SUCCEED] = EVENT_SUCCEEDED, [MOVE_FAIL] = EVENT_FAILED,
        [MOVE_REQUEUE_LOST] = EVENT_REQUEUED, [MOVE_RELEASE] = EVENT_REQUEUED,  [MOVE_STOP] = EVENT_STOPPED,
        [MOVE_EXPIRE] = EVENT_FAILED,
    };
    return events[move];
}

#define NAME_OF(names, i)                                                                                    \
    ((size_t)(i) < sizeof(names) / sizeof *(names) && (names)[i] ? (names)[i] : "unknown")

static const char *const state_names[] = {NULL, "queued", "running", "succeeded", "failed", "stopped"};
static const char *const status_names[] = {NULL, "running", "running", "success", "failed", "stopped"};

const char *state_name(enum run_state s)
{
    return NAME_OF(state_names, s);
}

const char *state_status(enum run_state s)
{
    return NAME_OF(status_names, s);
}

const char *reason_name(enum failure_reason r)
{
    static const char *const names[] = {NULL,
                                        "timeout",
                                        "stopped",
                                        "executor_lost",
                                        "step_failed",
                                        "outputs_invalid",
                                        "memory_limit",
                                        "output_limit",
                                        "insufficient_credits",
                                        "model_error",
                                        "internal",
                                        "limit_exceeded",
                                        "expired",
                                        "budget_exceeded"};
    return r == REASON_NONE ? NULL : NAME_OF(names, r);
}

static const char *const event_names[] = {NULL,
                                          "execution.queued",
                                          "execution.started",
                                          "step.started",
                                          "step.succeeded",
                                          "step.failed",
                                          "step.skipped",
                                          "log",
                                          "progress",
                                          "artifact.created",
                                          "execution.child_started",
                                          "execution.requeued",
                                          "execution.succeeded",
                                          "execution.failed",
                                          "execution.stopped",
                                          "step.retrying",
                                          "artifacts.refused",
                                          "files.missing",
                                          "execution.moved",
                                          "step.adopted",
                                          "step.waiting",
                                          "signal.rejected"};

const char *event_name(enum event_type t)
{
    return NAME_OF(event_names, t);
}

bool event_is_known(enum event_type t)
{
    return (size_t)t < sizeof event_names / sizeof *event_names && event_names[t];
}

const char *step_status_name(enum step_status s)
{
    static const char *const names[] = {"pending", "running", "completed", "failed", "skipped"};
    return NAME_OF(names, s);
}

const char *source_name(enum run_source s)
{
    static const char *const names[] = {NULL, "standalone", "chat", "workflow", "skill"};
    return NAME_OF(names, s);
}

int state_from_name(const char *name, enum run_state *state_r)
{
    for (int s = STATE_QUEUED; s <= STATE_STOPPED; s++) {
        if (strcmp(name, state_names[s]) == 0) {
            *state_r = (enum run_state)s;
            return 1;
        }
    }
    return 0;
}

int states_from_status(const char *status, enum run_state states_r[2])
{
    int n = 0;
    for (int s = STATE_QUEUED; s <= STATE_STOPPED; s++) {
        if (strcmp(status, status_names[s]) == 0)
            states_r[n++] = (enum run_state)s;
    }
    return n;
}
