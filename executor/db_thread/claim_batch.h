/* The claims of one transaction: locks queued runs, moves them to running, offers them to the loop, and
 * writes what they did there before their first side effect. docs/how-a-claim-works.md explains why. Database
 * thread only. */
#pragma once

#include "executor/db_thread/claim_turns.h"
#include "executor/db_thread/claimed_run.h"
#include "executor/db_thread/compile_jobs.h"

/* New large programs and manifests of one transaction; runs of others are found again. */
enum { COMPILE_JOBS_MAX = 4 };

struct claim_batch {
    /* --- set by the caller --- */
    /* At most this many runs; 0: claim nothing. */
    size_t limit;
    /* Runs that Redis named, at most `limit`; a hint. */
    const id *queued_ids;
    size_t queued_ids_n;
    /* Look in MariaDB for as many as queued_ids does not give. */
    bool scan;
    /* The scan also wakes parked runs that are due. */
    bool wakes;
    /* Where the last scan ended; the next one continues there. */
    struct scan_place *place;
    /* Of all first commits that are written with their claims, together. */
    size_t first_commits_bytes_max;
    /* One of the first commits cannot be written: write none of them. */
    bool write_first_commits_separately;
    /* Owns `runs`. */
    void *holder;
    /* Inside the transaction, once for the runs that it claims: lets the loop advance them up to their first
     * side effect. False: the process is about to end and must not claim. */
    bool (*offer)(struct claim_batch *claims);
    void *arg;
    /* False once the lease is over: from then on nothing is claimed. */
    bool (*may_claim)(void *arg);
    void *may_claim_arg;

    /* Compiles large programs and manifests. */
    struct compile_jobs *compiling;
    size_t compile_bytes_left;
    /* No more are noted for the thread: further large texts are not even read. */
    bool compile_full;
    /* Of the large inputs and stored results that one transaction reads. */
    size_t text_bytes_left;
    /* Workspaces one of whose runs did not fit into memory in this transaction: no texts of theirs are read.
     */
    id no_memory[COMMIT_BATCH_MAX];
    size_t no_memory_n;
    /* Parked runs that are left to executors of another version, and would be in front of all others in the
     * next scan. */
    id postponed[COMMIT_BATCH_MAX];
    size_t postponed_n;

    /* --- the result --- */
    /* Programs and manifests that are too large to be compiled in the transaction, of `holder`: to be
     * submitted once it is over. Their runs stay queued. */
    struct compile_job *to_compile[COMPILE_JOBS_MAX];
    size_t to_compile_n;
    /* How long the claimed run that was queued for longest had been claimable, in ms. */
    int64_t oldest_ms;
    /* Runs were left out because of text_bytes_left. */
    bool texts_left;
    /* A scan was wanted, and more runs may be queued than it has found. */
    bool may_have_more;
    /* A scan was made; it has visited all workspaces with queued runs, or all that the scan which it
     * continues had left open. */
    bool scanned, visited_all;
    /* Workspaces that the scan visited. */
    size_t visited_n;
    struct claimed_run *runs;
    size_t runs_n;
    /* From then on the runs are kept through every execution of the transaction. */
    bool offered;
};

/* Claims queued runs, and wakes parked ones, in the transaction. ERR_CONFLICT with limit 0: the offer was
 * refused, run the transaction again. */
enum err claim_queued_runs(struct db_tx *tx, struct run_tx *run_tx, struct db_thread_ctx *thread_ctx,
                           struct claim_batch *claims) WARN_UNUSED;
/* In a further execution of the transaction: claims the offered runs again that are still queued, or parked,
 * at the same attempt, and marks the others `fenced`. */
enum err claim_offered_runs_again(struct db_tx *tx, struct run_tx *run_tx,
                                  const struct db_thread_ctx *thread_ctx,
                                  struct claim_batch *claims) WARN_UNUSED;

static inline bool claim_batch_may_claim(const struct claim_batch *claims)
{
    return claims->may_claim(claims->may_claim_arg);
}

/* Decides which first commits are written with their claims. */
void choose_first_commits(struct claim_batch *claims);
enum err write_first_commits(struct db_tx *tx, struct run_tx *run_tx, const struct db_thread_ctx *thread_ctx,
                             struct claim_batch *claims) WARN_UNUSED;

/* Forgets what was claimed and not offered. */
void discard_claims(struct claim_batch *claims);
