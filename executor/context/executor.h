/* One executor process: what its loop thread shares among its modules. Made by process.c; everything in it is
 * the loop thread's, but what writer.h hands to the database thread. */
#pragma once

#include <event2/event.h>

#include "base/config.h"
#include "executor/db_thread/db_thread.h"
#include "service/id_map.h"
#include "service/timers.h"

struct active_run;
struct slots;
struct run_kinds;
struct lease;
struct peer_heartbeat;
struct http_client;
struct child_watch;
struct blob_store;
struct disk_thread;
struct spawn_limiter;

enum { HEARTBEAT_MS = 3000, LEASE_MS = 10000, LOST_MS = 12000, LOST_OBSERVATIONS = 3 };

struct executor {
    const struct config *config;
    struct event_base *base;
    struct timers *timers;
    struct compiled_programs *programs; /* the database thread's, as are the skills */
    struct compiled_skills *skills;
    struct db_thread *db_thread;
    struct lease *lease;
    bool (*may_act)(const struct executor *exec); /* of the lease */
    const struct run_kinds *kinds;
    struct peer_heartbeat *peers; /* PEERS_MAX, the master's: liveness.h */
    struct http_client *http_client;
    struct child_watch *child_watch;
    struct id_map *runs;                 /* runs in memory, by id */
    struct slots *slots;                 /* of the runs in memory */
    struct disk_thread *disk_thread;     /* what would block the loop */
    struct blob_store *blobs;            /* NULL: files.dir cannot be used (logged) */
    int process_index;                   /* of this process under its master, from 0 */
    bool *uid_slots_taken;               /* taken ones, max_active of them: executor/io/runner_process.h */
    int64_t active_runners;              /* that live, and stopped runs whose log is not kept yet */
    struct spawn_limiter *spawn_limiter; /* of runners */
    void *process_ctx;                   /* context of what watches child processes: it needs the loop */
    const uint8_t *secret_key;           /* NULL: there is none */
    bool stopping;                       /* SIGTERM: nothing new is started */
    bool fenced;                         /* this process may not act any more */
    void (*on_work_ended)(struct executor *exec); /* a run has gone: whoever waits for the end looks again */
};

/* Whether a side effect may start now: the process's lease is good. */
static inline bool executor_holds_lease(const struct executor *exec)
{
    return exec->may_act(exec);
}

/* Whether this process still tells what a run that has gone left behind. */
static inline bool executor_may_record(const struct executor *exec)
{
    return !exec->fenced && !exec->stopping;
}
