/* One executor process: what the modules of its loop thread share. Made by executor/process, which owns it;
 * only the loop thread uses it, except for what db_thread.h hands to the database thread. */
#pragma once

#include <event2/event.h>
#include <stdatomic.h>

#include "base/config.h"
#include "base/memory_budget.h"
#include "executor/db_thread/db_thread.h"
#include "service/id_map.h"
#include "service/progress.h"
#include "service/timers.h"

struct active_run;
struct compiled_programs;
struct compiled_skills;
struct sandbox_share;
struct slots;
struct turns;
struct run_kinds;
struct claimer;
struct lease;
struct peer_heartbeat;
struct begun_run;
struct http_client;
struct child_watch;
struct blob_store;
struct disk_thread;
struct compute_thread;
struct share_question;
struct spawn_limiter;
struct warm_pool;
struct otlp;

/* A heartbeat is sent every HEARTBEAT_MS. A process whose last successful one is LEASE_MS old may not act any
 * more (executor/lease). */
enum { HEARTBEAT_MS = 1000 * CONFIG_HEARTBEAT_S };

struct executor {
    const struct config *config;
    struct event_base *base;
    struct timers *timers;
    /* Index of this process under its master, from 0. */
    int process_index;

    /* NULL: no spans are exported. */
    struct otlp *otlp;

    /* For work on values of tenants, which would hold up the threads below. */
    struct compute_thread *compute;

    /* --- the database thread --- */
    struct db_thread *db_thread;
    /* Of each connection to MariaDB. */
    const struct db_settings *db_settings;
    /* Watched by the liveness thread (executor/lease/liveness.h). */
    struct progress loop_progress, db_thread_progress;
    /* Used by the database thread only. */
    struct compiled_programs *programs;
    struct compiled_skills *skills;
    /* Any thread; the maintenance thread refreshes them. */
    struct share_limits *share_limits;
    /* Permits are taken by the database thread, and dropped by both. */
    struct sandbox_share *sandboxes;

    /* NULL until the process is registered. */
    struct claimer *claimer;

    /* What the heartbeats tell of this process, for GET /metrics: set by note_load, which the lease calls
     * several times a second on the loop, and read by the liveness thread. */
    atomic_int http_in_flight_seen, http_waiting_seen, commands_seen;
    void (*note_load)(struct executor *exec);
    /* Which units of the shared pools a workspace holds, for an operator; set before the notifications start.
     */
    void (*answer_share_question)(struct executor *exec, const struct share_question *question);

    /* --- the lease --- */
    struct lease *lease;
    /* Set by the lease; call executor_holds_lease. */
    bool (*may_act)(const struct executor *exec);
    /* PEERS_MAX entries in the master's shared memory (executor/lease/peers.h); the liveness thread's. */
    struct peer_heartbeat *peers;
    /* In the same memory: executor/lease/begun_run.h. */
    struct begun_run *begun_run;
    /* SIGTERM was received: nothing new is started. */
    bool stopping;
    /* The lease is over: this process may not act any more. */
    bool fenced;

    /* --- runs --- */
    /* struct active_run by id: all runs in memory. */
    struct id_map *runs;
    struct slots *slots;
    /* Of all runs in memory, and of compiled programs. */
    struct memory_budget memory;
    /* Memory that runs have given back since malloc last returned some to the kernel. */
    size_t freed_bytes;
    struct turns *turns;
    const struct run_kinds *kinds;
    struct child_watch *child_watch;
    /* Called after a run has left memory, for what waits for the end of all. */
    void (*on_work_ended)(struct executor *exec);

    /* --- side effects --- */
    struct http_client *http_client;
    struct disk_thread *disk_thread;
    /* NULL: files.dir cannot be used (logged). */
    struct blob_store *blobs;
    /* NULL: no key is configured, or it cannot be read (logged). */
    const uint8_t *secret_key;
    /* Runner processes that live, and stopped runs whose log is still being collected. */
    int64_t active_runners;
    struct spawn_limiter *spawn_limiter;
    struct warm_pool *warm_pool;
    /* runner_process_uids entries; true: taken. */
    bool *uid_slots_taken;
    /* Context of everything that watches child processes; freed before the loop, which that needs. */
    void *process_ctx;
};

/* True if a side effect may start now. */
static inline bool executor_holds_lease(const struct executor *exec)
{
    return exec->may_act(exec);
}

/* True while results of ended runs may still be recorded. */
static inline bool executor_may_record(const struct executor *exec)
{
    return !exec->fenced && !exec->stopping;
}
