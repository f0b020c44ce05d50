/* The resources of a worker process: created after the fork, reached by every handler through its request. */
#pragma once

#include "base/config.h"
#include "fcgi/shared/shared.h"
#include "mariadb/db.h"
#include "redis/redis.h"

struct accept_member;
struct workflow_cache;
struct name_cache;
struct skill_cache;
struct blob_store;
struct otlp;

struct app {
    const struct config *config;
    struct fcgi_shared *shared;
    /* NULL in the uploads pool: its queue may be long. */
    struct admission *admission;
    /* Slot of this worker, below WORKER_SLOTS. */
    int slot;
    /* Labels for metrics: route_names(). */
    const char *const *route_names;
    unsigned routes_n;
    struct db *db;
    struct redis *redis;
    /* NULL in a slot beyond the accept group: the worker accepts runs alone. */
    struct accept_member *accepts;
    struct workflow_cache *workflows;
    struct name_cache *names;
    struct share_limits *share_limits;
    struct skill_cache *skills;
    /* NULL: files.dir is unusable (logged). */
    struct blob_store *blobs;
    /* Of the secrets of webhooks; NULL: no key is configured, or it is unusable (logged). */
    const uint8_t *webhook_key;
    /* NULL: no spans are exported. */
    struct otlp *otlp;
};
