/* The database thread of an executor process: it owns the process's one connection to MariaDB and one to
 * Redis, and does there what the loop thread asks for, never the other way round.
 *
 * Jobs go to it by a locked queue and come back, done, through an eventfd, on the loop thread, in the order
 * in which they were done. What has gathered when it comes for more (commits of up to 64 runs, and the claims
 * of new ones) becomes one transaction: nothing ever waits for a batch to fill. Each run has at most one
 * commit under way, so that a run's commits never overtake each other.
 *
 * Claims are offered to the loop inside their transaction: what the runs do there before their first side
 * effect is written with the claim, and the thread waits for it, as long as that is soon. It never waits the
 * other way round.
 *
 * Failure: with MariaDB away commits are kept and tried again; a commit is done once it was written or the
 * fence refused it. Other jobs report ERR_BUSY. */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mariadb/db.h"
#include "redis/redis.h"

enum { COMMIT_BATCH_MAX = 64 };

enum job_kind {
    JOB_HEARTBEAT, /* done before all else */
    JOB_COMMIT,
    JOB_ACCEPT_CHILD,
    JOB_CALL,
};

struct db_thread_ctx { /* what a job may use, in the database thread */
    struct db *db;
    struct redis *redis;
    uint64_t executor_id; /* 0 until registered; set by the registering job */
};

/* The head of every job, which is a talloc context of its own and handed over whole: to the thread by
 * db_thread_submit, back by `done`. */
struct job {
    enum job_kind kind;
    void (*work)(struct job *job,
                 struct db_thread_ctx *thread_ctx); /* JOB_HEARTBEAT, JOB_CALL: in the thread */
    void (*done)(struct job *job);                  /* on the loop; frees the job */
    void *arg;                                      /* the loop's */
    enum err e;
    struct job *next;
};

struct claimed_run;
struct compiled_programs;

struct db_thread_settings {
    const struct db_settings *db;
    const char *redis_socket;
    struct compiled_programs *programs;
    /* On the loop, inside the transaction that claims these runs: those whose kind allows it begin. May be
     * left out, where the loop is busy. */
    void (*on_claiming)(void *arg, struct claimed_run *runs, size_t n);
    /* On the loop: what became of the claims, of each that on_claiming was told of and of each that is
     * written. The first commits are the loop's again, to free or to submit. */
    void (*on_claimed)(void *arg, struct claimed_run *runs, size_t n, enum err e);
    void *arg;
};

struct db_thread;

/* Starts the thread. NULL where it cannot. */
struct db_thread *db_thread_start(void *ctx, struct event_base *base,
                                  const struct db_thread_settings *settings);
/* Ends it after the jobs that are queued, with what can be done about them now; they come back no more. */
void db_thread_stop(struct db_thread *t);

void db_thread_submit(struct db_thread *t, struct job *job);
/* Jobs submitted that have not come back. */
size_t db_thread_pending(const struct db_thread *t);

/* --- claims: slots are what may be claimed --- */

/* Adds free slots (the loop's) and wakes whoever waits for one. */
void db_thread_add_slots(struct db_thread *t, int n);
/* Takes one where there is one: for a run that has waited and goes on. */
bool db_thread_take_slot(struct db_thread *t);
/* Ids to claim, by the thread that pops them. Waits until there are slots for more than what it has given
 * already; returns how many more, 0 where claims have ended. */
int db_thread_await_slots(struct db_thread *t);
void db_thread_queue_ids(struct db_thread *t, const id *ids, size_t n);
/* Look for queued runs in MariaDB with the next transaction. */
void db_thread_scan_queued(struct db_thread *t);
/* No more claims, from now on. */
void db_thread_end_claims(struct db_thread *t);
