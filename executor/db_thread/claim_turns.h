/* The choice of a scan: which workspace is visited next, and how many runs it gives: parked ones that are
 * due, then queued ones.
 *
 * A round visits up to CLAIM_WORKSPACES_MAX workspaces that have such runs, first one for CLAIM_SHARE_MIN
 * places. Each is asked for an equal share of the places that are left; what one leaves goes to the next
 * ones, to further workspaces, and at last to those that have more, until the places are filled. The next
 * round begins after the last workspace of this one, so that no number of runs and no number of workspaces
 * keeps one from its turn.
 *
 * A run that is claimed leaves its entry in the index until MariaDB has purged it. A scan that began with the
 * oldest run of each workspace every time would read the entries of all runs that were claimed just before.
 * A scan that is made because the one before filled its places therefore continues that one: it begins after
 * the newest run that was seen of each workspace. If the round before had all workspaces, it visits those
 * that may have more; it does not look for others. What it cannot see (a run whose commit took long, a run
 * that is queued again, a new workspace) is found by the next scan from the oldest runs, within a second.
 * Database thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"

enum {
    CLAIM_WORKSPACES_MAX = 16,
    /* Places for which a workspace is visited: a visit takes two statements, as much time as two claims. */
    CLAIM_SHARE_MIN = 8,
    /* Places of workspaces, by hash. A workspace that was displaced by another is scanned from its oldest
       run. */
    SCAN_CURSORS = 256,
};

struct claim_visit {
    id workspace;
    /* The newest queued run that was seen: further ones come after it. Not set: none. */
    id newest;
    /* Parked runs that are due and were seen. */
    size_t due_seen;
    /* It has no more of the one, or of the other. */
    bool due_exhausted, queued_exhausted;
    /* Of an odd number of places, runs that are due get the odd one. To be chosen at random: a turn could
     * keep step with the turns of the workspaces. */
    bool odd_for_due;
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

/* Where a scan ended. */
struct scan_place {
    /* The workspace that was visited last. */
    id last_workspace;
    /* All workspaces that may have more runs, if there are no others; else none. */
    id open[CLAIM_WORKSPACES_MAX];
    size_t open_n;
    /* By hash of the workspace: its newest run that was seen. */
    struct scan_cursor {
        id workspace, newest;
    } cursors[SCAN_CURSORS];
};

/* The next scan begins with the oldest run of each workspace. */
void scan_place_reset(struct scan_place *place);
/* The run after which a scan of the workspace begins. Not set: with the oldest. */
id scan_place_of(const struct scan_place *place, const id *workspace);
/* Begins a round with the workspaces that are open. False: they are not known, or more than
 * claim_round_wanted.
 */
bool scan_place_continue(const struct scan_place *place, struct claim_round *round);
/* Keeps the place at which a round ended. `all`: it had all workspaces. */
void scan_place_keep(struct scan_place *place, const struct claim_round *round, bool all);

bool claim_round_has(const struct claim_round *round, const id *workspace);
/* Adds a workspace to the round. False: it is full, or the workspace is in it (the round is complete). */
bool claim_round_add(struct claim_round *round, const id *workspace);
/* How many workspaces more are to be visited now: one for CLAIM_SHARE_MIN places that are left. */
size_t claim_round_wanted(const struct claim_round *round);
/* The next visit, and the number of runs to ask for. NULL: the round is over. */
struct claim_visit *claim_round_next(struct claim_round *round, size_t *share_r);
/* Of the places of a visit, those for parked runs that are due. Neither these nor the queued ones wait for
 * the end of the others of their workspace: both get half. */
size_t claim_visit_due_share(const struct claim_visit *visit, size_t share);
/* The visit has given so many runs. `has_more`: the workspace may have more of them. */
void claim_round_given(struct claim_round *round, struct claim_visit *visit, bool has_more, size_t given);
/* True if more runs may be queued than the round has found. */
bool claim_round_may_have_more(const struct claim_round *round);
