/* The mapping that the master makes before it forks: what the workers of a host know together. It is found at
 * the same address in all of them and lives as long as the master. */
#pragma once

#include <stddef.h>

#include "core/seen_balances.h"
#include "fcgi/accept_group.h"
#include "fcgi/admission.h"
#include "fcgi/metrics.h"
#include "fcgi/rate.h"
#include "fcgi/recent_keys.h"
#include "fcgi/shared_cache.h"

/* Slots for all workers at once, twice: at a reload old ones still finish while new ones serve. */
enum { WORKER_SLOTS = 256 };

struct fcgi_shared {
    struct metrics metrics;
    struct admission admission;
    struct rate_area rate;
    struct recent_keys recent_keys;
    struct seen_balances seen_balances;
    struct shared_cache *keys;         /* SHA-256 of an API key: struct auth_known */
    struct shared_cache *workflows;    /* id: struct workflow_known */
    struct accept_group *accept_group; /* for the first ACCEPT_GROUP_WORKERS_MAX slots */
};

/* NULL where there is no memory for it (logged). */
struct fcgi_shared *fcgi_shared_new(void);
