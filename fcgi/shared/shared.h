/* The mapping that the master makes before it forks: what the workers of a host know together. It is found at
 * the same address in all of them and lives as long as the master. */
#pragma once

#include <stddef.h>

#include "account/balance_cache.h"
#include "fcgi/shared/accept_group.h"
#include "fcgi/shared/admission.h"
#include "fcgi/shared/metrics.h"
#include "fcgi/shared/rate.h"
#include "fcgi/shared/recent_keys.h"
#include "fcgi/shared/shared_cache.h"

/* Slots for all workers at once, twice: at a reload old ones still finish while new ones serve. */
enum { WORKER_SLOTS = 256 };

struct fcgi_shared {
    struct metrics metrics;
    struct admission admission;
    struct rate_area rate;
    struct idempotency_key_filter idempotency_key_filter;
    struct balance_cache seen_balances;
    struct shared_cache *keys;         /* SHA-256 of an API key: struct auth_cached_key */
    struct shared_cache *workflows;    /* id: struct workflow_cached_version */
    struct accept_group *accept_group; /* for the first ACCEPT_GROUP_WORKERS_MAX slots */
};

/* NULL where there is no memory for it (logged). The sizes are those of struct auth_cached_key and struct
 * workflow_known. */
struct fcgi_shared *fcgi_shared_new(size_t key_known_size, size_t workflow_known_size);
