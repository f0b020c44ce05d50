/* One executor process: what its loop thread shares among its modules. Made by process.c; everything in it is
 * the loop thread's, but what writer.h hands to the database thread. */
#pragma once

#include <event2/event.h>

#include "base/config.h"
#include "executor/cache/programs.h"
#include "executor/db_thread/db_thread.h"
#include "service/id_map.h"
#include "service/timers.h"

struct flow;
struct flow_kinds;
struct liveness;
struct pulse_watch;
struct http;
struct child_watch;
struct blob_store;
struct disk;
struct start_gate;

enum { BEAT_MS = 3000, LEASE_MS = 10000, LOST_MS = 12000, LOST_LOOKS = 3 };

struct executor {
    const struct config *config;
    struct event_base *base;
    struct timers *timers;
    struct programs *programs; /* the database thread's */
    struct writer *writer;
    struct liveness *liveness;
    bool (*may_act)(const struct executor *x); /* of the lease */
    const struct flow_kinds *kinds;
    struct pulse_watch *watches; /* WATCHES_MAX, the master's: liveness.h */
    struct http *http;
    struct child_watch *children;
    struct id_table *flows;               /* runs in memory, by id */
    struct flow *slot_first, **slot_last; /* those that want to go on and wait for a slot */
    bool serving;                         /* the slot queue is being served */
    int64_t without_slot;                 /* runs that wait */
    struct disk *disk;                    /* what would block the loop */
    struct blob_store *blobs;             /* NULL: files.dir cannot be used (logged) */
    int index;                            /* of this process under its master, from 0 */
    bool *uids;                           /* taken ones, max_active of them: executor/io/runner_process.h */
    int64_t runners;                      /* that live, and stopped runs whose log is not kept yet */
    struct start_gate *starts;            /* of runners */
    void *processes;                      /* context of what watches child processes: it needs the loop */
    const uint8_t *secret_key;            /* NULL: there is none */
    bool stopping;                        /* SIGTERM: nothing new is started */
    bool fenced;                          /* this process may not act any more */
    void (*changed)(struct executor *x);  /* a run has gone: whoever waits for the end looks again */
};

/* Whether a side effect may start now: the process's lease is good. */
static inline bool executor_may_act(const struct executor *x)
{
    return x->may_act(x);
}

/* Whether this process still tells what a run that has gone left behind. */
static inline bool executor_has_time(const struct executor *x)
{
    return !x->fenced && !x->stopping;
}
