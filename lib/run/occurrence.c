#include "run/occurrence.h"

#include <stddef.h>
#include <string.h>

static const char *const state_names[] = {
    [OCCURRENCE_STARTED] = "started", [OCCURRENCE_WAITING] = "waiting", [OCCURRENCE_SKIPPED] = "skipped",
    [OCCURRENCE_MISSED] = "missed",   [OCCURRENCE_REFUSED] = "refused",
};
static const char *const reason_names[] = {
    [OCCURRENCE_OVERLAP] = "overlap",
    [OCCURRENCE_LATE] = "late",
    [OCCURRENCE_INSUFFICIENT_CREDITS] = "insufficient_credits",
    [OCCURRENCE_CONCURRENCY_LIMITED] = "concurrency_limited",
    [OCCURRENCE_ARCHIVED] = "archived",
    [OCCURRENCE_INVALID_INPUTS] = "invalid_inputs",
    [OCCURRENCE_BUDGET_EXCEEDED] = "budget_exceeded",
};
static const char *const overlap_names[] = {
    [OVERLAP_SKIP] = "skip",
    [OVERLAP_QUEUE_ONE] = "queue_one",
    [OVERLAP_ALLOW] = "allow",
    [OVERLAP_STOP_PREVIOUS] = "stop_previous",
};

static const char *name_of(const char *const *names, size_t n, unsigned value)
{
    return value < n ? names[value] : NULL;
}

const char *occurrence_state_name(enum occurrence_state state)
{
    return name_of(state_names, sizeof state_names / sizeof *state_names, state);
}

const char *occurrence_reason_name(enum occurrence_reason reason)
{
    return name_of(reason_names, sizeof reason_names / sizeof *reason_names, reason);
}

const char *overlap_name(enum overlap overlap)
{
    return name_of(overlap_names, sizeof overlap_names / sizeof *overlap_names, overlap);
}

enum overlap overlap_from_name(const char *name)
{
    for (enum overlap o = OVERLAP_SKIP; o <= OVERLAP_STOP_PREVIOUS; o++) {
        if (strcmp(overlap_names[o], name) == 0)
            return o;
    }
    return 0;
}
