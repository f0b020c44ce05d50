/* The database thread of an executor process. It owns a connection to MariaDB and one to Redis, and runs the
 * jobs that the loop thread submits; the loop never queries MariaDB.
 *
 * Finished jobs come back on the loop in the order in which they were finished. Everything that has gathered
 * when the thread looks for work (commits of up to 64 runs, and claims of new ones) becomes one transaction;
 * the thread never waits for a batch to fill. Each run has at most one commit in flight, so that its commits
 * never overtake each other.
 *
 * Claims are offered to the loop inside their transaction: what the runs do before their first side effect is
 * written with the claim (claim_offer.h).
 *
 * Failure: while MariaDB is unreachable, commits and children are kept and tried again every 100 ms. A commit
 * is finished when it was written, when the fence rejected it, or (ERR_INTERNAL) when it cannot be written.
 * Other jobs report ERR_UNAVAILABLE. */
#pragma once

#include <event2/event.h>

#include "executor/db_thread/job.h"

struct claimed_run;
struct compute_thread;

struct db_thread_settings {
    const struct db_settings *db;
    const char *redis_socket;
    struct compiled_programs *programs;
    struct compiled_skills *skills;
    struct sandbox_share *sandboxes;
    /* Compiles large programs. */
    struct compute_thread *compute;
    /* Runs that do not fit stay queued; the thread sets on_room. */
    struct memory_budget *memory;
    /* On the loop, inside the transaction that claims these runs: those whose kind allows it begin. Not
     * called if the loop was busy for 200 ms. */
    void (*on_claiming)(void *arg, struct claimed_run *runs, size_t n);
    /* On the loop: the result of the claims, for each run that on_claiming was called with and for each that
     * is written. The first commits are the loop's again, to free or to submit. */
    void (*on_claimed)(void *arg, struct claimed_run *runs, size_t n, enum err e);
    /* On the database thread: false, and nothing is claimed, once the lease is over. */
    bool (*may_claim)(void *arg);
    void *arg;
    /* What the thread and the loop do, for the thread that watches them. */
    struct progress *progress, *loop_progress;
};

struct db_thread;

/* Starts the thread. NULL (logged): it cannot be started. */
struct db_thread *db_thread_start(void *ctx, struct event_base *base,
                                  const struct db_thread_settings *settings);
/* Ends the thread after one attempt at each job that was submitted. Jobs do not come back from now on. The
 * compute thread, which wakes this one, has ended before. */
void db_thread_stop(struct db_thread *t);

void db_thread_submit(struct db_thread *t, struct job *job);
/* Commits and children that MariaDB has not taken yet, without those that wait in the queue. Any thread. */
size_t db_thread_unwritten(const struct db_thread *t);
/* Jobs that the thread has not looked at yet. Any thread. */
size_t db_thread_queued(struct db_thread *t);

/* --- claims; see claim_intake.h --- */

/* A slot is the right to have one run active. Free slots are claimed for. */
void db_thread_add_slots(struct db_thread *t, int n);
/* For a run that waited without a slot and resumes. False: no slot is free. */
bool db_thread_take_slot(struct db_thread *t);
int db_thread_free_slots(struct db_thread *t);
/* For the claim thread: waits until there are free slots for more than the ids it has queued, and returns for
 * how many more. 0: claims have ended. */
int db_thread_await_slots(struct db_thread *t);
/* `short_n`: see claim_intake_add_ids. */
void db_thread_queue_ids(struct db_thread *t, const id *ids, size_t n, size_t short_n);
/* Scan MariaDB for queued runs with the next transaction. */
void db_thread_scan_queued(struct db_thread *t);
/* Wake parked runs that are due, with the next transaction. */
void db_thread_wake_due(struct db_thread *t);
/* claim_intake_take_claimed and claim_intake_allow. */
int64_t db_thread_take_claimed(struct db_thread *t, int64_t *oldest_ms_r);
void db_thread_allow_claims(struct db_thread *t, int n);
/* No more claims from now on. */
void db_thread_end_claims(struct db_thread *t);
