/* Group accept: workers of a host that accept runs at the same moment share one transaction, as a database
 * shares one disk write between commits (group commit).
 *
 * The shared mapping holds one slot per worker and one robust mutex. A worker fills its slot and tries the
 * mutex. The worker that gets the mutex leads one batch (lib/run/accept.h): it takes all filled slots
 * including its own, writes the answers into the slots, wakes their owners, unlocks, and wakes one worker
 * whose slot was filled in the meantime, which leads the next batch. No worker waits for a batch to fill: on
 * an idle host a batch is one run, under load it is whatever gathered during the last commit.
 *
 * A batch never waits for an account. A request whose account is locked stays in its slot and joins a later
 * batch, after 1, 2, 4 ... 50 ms, for at most 2 s in all; then it is answered 503. A worker of this host
 * that unlocks the account ends the pause of the request that has waited longest. The mutex is free in
 * between. Once an account has been locked for 500 ms, at most half of the workers wait for it; further
 * requests are answered 503 at once. A request that is too large for a slot waits by the same rule.
 *
 * Hangs. A worker that waits and finds that a leader has sent nothing to MariaDB for 10 s kills it with
 * SIGKILL.
 *
 * Deaths. If the leader dies, the next worker that locks the mutex gets EOWNERDEAD. It kills the dead
 * leader's database connection and processes the taken slots again by the rule for lost commits. If the owner
 * of a slot dies, the slot is still processed before the owner's successor uses it.
 *
 * Condition variables are not used: after a waiter was killed, pthread_cond_signal was seen to hang while
 * holding the lock. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "run/accept.h"

/* In the shared mapping. */
struct accept_group;
/* One worker's membership, in the worker's own memory. */
struct accept_member;

enum {
    ACCEPT_GROUP_WORKERS_MAX = ACCEPT_GROUP_MAX,
    /* Body and the other fields of a request; a larger request gets a separate transaction. */
    ACCEPT_SLOT_BYTES = 64 * 1024 + 8 * 1024,
    ACCEPT_BATCH_BYTES = 4 * 1024 * 1024,
    /* A request that no leader has taken by then is withdrawn and answered 503. */
    ACCEPT_TIMEOUT_MS = 2500,
    /* Batches are counted by their size, up to 1, 2, 4 … 256 runs: those of single requests, and the items of
     * a run-batch. */
    ACCEPT_GROUP_SIZES = 9,
};

/* Bytes of shared memory that a group of `workers` needs. */
size_t accept_group_size(unsigned workers);
/* Sets up the group in `memory`: accept_group_size() zero bytes. Called by the master before it forks. */
struct accept_group *accept_group_init(void *memory, unsigned workers);

/* Joins the group with slot number `slot` (0-based), which no other live process may use. Blocks until a
 * request that a dead predecessor left in the slot has been processed. `db` and `redis` are the worker's own
 * and must outlive the member. */
struct accept_member *accept_group_attach(void *ctx, struct accept_group *group, unsigned slot, struct db *db,
                                          struct redis *redis);

/* Accepts one run, in a batch or alone. The answer is allocated from ctx. The body of a replayed answer is
 * absent if it did not fit into the slot: read it by idempotency_lookup then. */
void accept_group_run(struct accept_member *member, void *ctx, const struct run_request *request,
                      struct run_answer *answer);

/* Accepts `n` (1 to ACCEPT_BATCH_MAX) items of one batch in a transaction of their own, which locks no
 * account but theirs. Requests of the workspace that already wait for the account go first. */
void accept_group_run_items(struct accept_member *member, void *ctx,
                            const struct run_request *const *requests, size_t n, struct run_answer *answers);

/* True if the request fits into a slot; a larger request is accepted alone. */
bool accept_group_takes(const struct run_request *request);

/* Number of runs in the batch of the last accept_group_run, for the access log. */
unsigned accept_group_last_batch(const struct accept_member *member);

struct accept_group_counters {
    uint64_t batches, runs;
    /* Batches by the number of their runs: place i has those of more than 2^(i-1) and at most 2^i. */
    uint64_t sizes[ACCEPT_GROUP_SIZES];
    /* Requests too large for a slot. */
    uint64_t alone;
    /* Dead leaders whose batch was settled. */
    uint64_t settled;
    /* Requests given up because no leader took them in time. */
    uint64_t withdrawn;
    /* Times that a request was put off because its account was locked. */
    uint64_t postponed;
    /* Requests answered 503 because their account stayed locked, or half of the workers waited for it. */
    uint64_t busy_rejected;
};
struct accept_group_counters accept_group_counters(const struct accept_group *group);
/* Process id of the worker that leads a batch now, 0 if there is none; for tests that kill leaders. The id of
 * a leader that died stays until the next one has taken over. */
pid_t accept_group_leader(const struct accept_group *group);
