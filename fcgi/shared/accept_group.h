/* Group accept: the workers of a host that accept runs at the same moment share one transaction, as a
 * database's group commit does. A mapping that the master makes before it forks holds one slot a worker and
 * one robust lock. A worker fills its slot and tries the lock; who has it leads one batch (lib/run/accept.h)
 * for all filled slots, itself included, answers into the slots, wakes their owners, unlocks, and wakes one
 * that is left to lead next. Nobody waits for a batch to fill: idle, it is one; loaded, what gathered during
 * the last commit.
 *
 * Deaths. A leader's: the lock says so to the next (EOWNERDEAD), who kills the dead one's database connection
 * and runs the taken slots again by the rule for lost commits. An owner's: its slot is processed all the same
 * before a successor uses it. No condition variables: with a waiter killed, pthread_cond_signal was seen to
 * hang while holding the lock. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "run/accept.h"

struct accept_group;  /* in the mapping */
struct accept_member; /* one worker's hold on it */

enum {
    ACCEPT_GROUP_WORKERS_MAX = ACCEPT_BATCH_MAX,
    ACCEPT_SLOT_BYTES = 64 * 1024 + 8 * 1024, /* body and what goes with it; a larger request goes alone */
    ACCEPT_BATCH_BYTES = 4 * 1024 * 1024,
    ACCEPT_TIMEOUT_MS = 2500, /* a request that no leader took by then is answered 503 */
};

/* Bytes of shared memory for so many workers, and their first state. Called by the master, before it forks.
 */
size_t accept_group_size(unsigned workers);
struct accept_group *accept_group_init(void *memory, unsigned workers);

/* A worker takes slot `slot` (0-based, no other live process has it), first letting what a dead predecessor
 * left in it be processed. db and redis are the worker's own. */
struct accept_member *accept_group_attach(void *ctx, struct accept_group *group, unsigned slot, struct db *db,
                                          struct redis *redis);

/* Accepts one run, in whatever batch it falls. The answer is of ctx; a replay's body may be absent where it
 * did not fit the slot: then accept_find_key has it. */
void accept_group_run(struct accept_member *member, void *ctx, const struct run_request *request,
                      struct run_answer *answer);

/* How many runs were in the batch of the last accept_group_run: for the access log. */
unsigned accept_group_last_batch(const struct accept_member *member);

struct accept_group_counters {
    uint64_t batches, runs, alone, settled, withdrawn;
};
struct accept_group_counters accept_group_counters(const struct accept_group *group);
/* Who holds the lock right now, 0 for nobody: for the tests that kill leaders. */
int accept_group_leader(const struct accept_group *group);
