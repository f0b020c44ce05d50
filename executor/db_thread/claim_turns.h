/* The choice of a scan: which workspace is visited next, and how many runs it gives: parked ones that are
 * due, then queued ones.
 *
 * A round visits up to CLAIM_WORKSPACES_MAX workspaces that have such runs. Each is asked for an equal
 * share of the places that are left; what one leaves goes to the others, in this pass and in further ones,
 * until the places are filled or no workspace has more. The next round begins after the last workspace of
 * this one, so that no number of runs and no number of workspaces keeps one from its turn. Database thread
 * only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"

enum { CLAIM_WORKSPACES_MAX = 16 };

struct claim_visit {
    id workspace;
    /* The newest queued run that was seen: further ones come after it. Not set: none. */
    id newest;
    /* Parked runs that are due and were seen. */
    size_t due_seen;
    /* It has no more of the one, or of the other. */
    bool due_exhausted, queued_exhausted;
    /* It has no more runs. */
    bool exhausted;
};

struct claim_round {
    struct claim_visit visits[CLAIM_WORKSPACES_MAX];
    size_t n;
    /* Places that are left. */
    size_t places;
    /* The next visit of this pass. */
    size_t at;
};

bool claim_round_has(const struct claim_round *round, const id *workspace);
/* Adds a workspace to the round. False: it is full, or the workspace is in it (the round is complete). */
bool claim_round_add(struct claim_round *round, const id *workspace);
/* The next visit, and the number of runs to ask for. NULL: the round is over. */
struct claim_visit *claim_round_next(struct claim_round *round, size_t *share_r);
/* The visit has given so many runs. `has_more`: the workspace may have more of them. */
void claim_round_given(struct claim_round *round, struct claim_visit *visit, bool has_more, size_t given);
/* True if more runs may be queued than the round has found. */
bool claim_round_may_have_more(const struct claim_round *round);
