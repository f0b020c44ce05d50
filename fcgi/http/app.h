/* What a worker process has: made after the fork, given to every handler by its request. */
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

struct app {
    const struct config *config;
    struct fcgi_shared *shared;
    struct admission *admission;    /* NULL: a pool whose queue may be long */
    int slot;                       /* of this worker, among WORKER_SLOTS */
    const char *const *route_names; /* for metrics: route_names() */
    unsigned routes_n;
    struct db *db;
    struct redis *redis;
    struct accept_member *accepts; /* NULL for a slot beyond the group: it accepts alone */
    struct workflow_cache *workflows;
    struct name_cache *names;
    struct skill_cache *skills;
    struct blob_store *blobs; /* NULL: files.dir cannot be used (logged) */
};
