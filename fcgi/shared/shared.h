/* The memory that the workers of a host share. The master maps it before it forks, so that it has the same
 * address in every worker. It lives as long as the master. */
#pragma once

#include <stddef.h>

#include "account/balance_cache.h"
#include "base/tally.h"
#include "fcgi/shared/accept_group.h"
#include "fcgi/shared/accept_latency.h"
#include "fcgi/shared/address_limit.h"
#include "fcgi/shared/admission.h"
#include "fcgi/shared/load_sample.h"
#include "fcgi/shared/metrics.h"
#include "fcgi/shared/rate.h"
#include "fcgi/shared/recent_keys.h"
#include "fcgi/shared/shared_answer.h"
#include "fcgi/shared/shared_cache.h"
#include "fcgi/shared/slow_share.h"
#include "fcgi/shared/trace_share.h"
#include "fcgi/shared/upload_share.h"

/* Room for all workers twice: after a reload the old workers finish their requests while the new ones
 * serve. */
enum { WORKER_SLOTS = 256 };

/* The request that a worker is answering, for the log line of its death. */
struct current_request {
    /* 0: none */
    atomic_bool set;
    char id[36 + 1];
    char method[8];
    char path[160];
};

struct fcgi_shared {
    struct current_request current[WORKER_SLOTS];
    struct metrics metrics;
    /* What the workers have counted and not added to MariaDB. */
    struct tally tally;
    struct admission admission;
    struct accept_latency accept_latency;
    struct rate_area rate;
    struct idempotency_key_filter idempotency_key_filter;
    struct balance_cache seen_balances;
    /* SHA-256 of an API key that exists -> struct auth_cached_key */
    struct shared_cache *keys;
    /* SHA-256 of an unknown API key -> int64_t, the boot time before MariaDB was asked. A cache of their own,
     * so that random keys do not evict those in use. */
    struct shared_cache *unknown_keys;
    /* Limits the look-ups of unknown keys and tickets. */
    struct address_limit unknown_key_limit;
    struct upload_share uploads;
    struct slow_share slow;
    struct trace_share traces;
    struct load_sample load_sample;
    /* What operators look at: GET /operator/overview, and GET /operator/workspaces?sort=load. */
    struct shared_answer overview, workspaces_by_load;
    /* id of a workflow -> struct workflow_cached_version */
    struct shared_cache *workflows;
    /* Used by the first ACCEPT_GROUP_WORKERS_MAX worker slots. */
    struct accept_group *accept_group;
};

/* NULL if the memory cannot be mapped (logged). Pass the sizes of struct auth_cached_key and struct
 * workflow_cached_version. */
struct fcgi_shared *fcgi_shared_new(size_t cached_key_size, size_t cached_version_size);
