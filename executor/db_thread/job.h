/* A job of the database thread or the disk thread: a function that runs there and one that runs on the loop
 * when the job is finished. Below everything else in this room, so that kinds of jobs (commit.h,
 * accept_children.h) and the thread that runs them (db_thread.h) do not include each other in a circle. */
#pragma once

#include <stdint.h>

#include "mariadb/db.h"
#include "redis/redis.h"
#include "service/progress.h"
#include "service/thread_queue.h"

struct compiled_programs;
struct compiled_skills;
struct compile_jobs;
struct child_checks;
struct sandbox_share;
struct memory_budget;

/* Commits and claims in one transaction. */
enum { COMMIT_BATCH_MAX = 64 };

enum job_kind {
    /* The comparison of memory with MariaDB: runs before all other jobs, so that stops are noticed in time.
     */
    JOB_COMPARE,
    /* A struct commit: written in one transaction with others. */
    JOB_COMMIT,
    /* A struct child_job: accepted in one transaction with others. */
    JOB_ACCEPT_CHILD,
    /* Anything else: `work` is called. */
    JOB_CALL,
};

/* What a job may use in the database thread. */
struct db_thread_ctx {
    struct db *db;
    struct redis *redis;
    struct compiled_programs *programs;
    struct compiled_skills *skills;
    struct sandbox_share *sandboxes;
    /* What is too large for this thread. */
    struct compile_jobs *compiling;
    struct child_checks *checks;
    /* NULL: no limit. */
    struct memory_budget *memory;
    /* Our row in `executors`; 0 until the job that registers the process has set it. */
    uint64_t executor_id;
    /* A job of many statements shows with progress_step that it is not dead. */
    struct progress *progress;
};

/* The head of every job. A job is a separate talloc context; it belongs to the thread from
 * db_thread_submit (disk_thread_submit) until `done` is called. */
struct job {
    struct thread_job queued; /* first */
    enum job_kind kind;
    /* In the thread, for JOB_COMPARE and JOB_CALL. The disk thread passes NULL for thread_ctx. A JOB_CALL
     * that sets `waits` was handed to compile_for_job, and is called again afterwards. */
    void (*work)(struct job *job, struct db_thread_ctx *thread_ctx);
    bool waits;
    /* On the loop; frees the job. */
    void (*done)(struct job *job);
    /* For the submitter on the loop; the threads do not touch it. */
    void *arg;
    /* The result. Jobs of the database thread that found MariaDB unreachable report ERR_UNAVAILABLE. */
    enum err e;
};
