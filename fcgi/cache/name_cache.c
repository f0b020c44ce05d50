#include "fcgi/cache/name_cache.h"

#include <talloc.h>

#include "base/clock.h"
#include "base/lru.h"
#include "fcgi/http/app.h"
#include "fcgi/http/request.h"
#include "store/responder.h"

enum { NAMES_MAX = 256, CACHE_TTL_MS = 1000 };

struct cached_name {
    /* Boot time before MariaDB was asked. */
    int64_t fetched_ms;
    const char *name;
};

struct name_cache {
    struct lru *names;
};

struct name_cache *name_cache_new(void *ctx)
{
    struct name_cache *cache = talloc_zero(ctx, struct name_cache);
    cache->names = lru_new(cache, sizeof(id), NAMES_MAX, NAMES_MAX);
    return cache;
}

static void remember_name(struct name_cache *cache, const struct responder_name *found, int64_t now_ms)
{
    struct cached_name *cached = talloc(cache, struct cached_name);
    *cached = (struct cached_name){now_ms, talloc_strdup(cached, found->name)};
    lru_put(cache->names, &found->id, cached, 1);
}

static const char *find_cached_name(struct request *r, const id *responder, int64_t now_ms)
{
    const struct cached_name *cached = lru_get(r->app->names->names, responder);
    return cached && now_ms - cached->fetched_ms < CACHE_TTL_MS ? talloc_strdup(r, cached->name) : NULL;
}

/* Looks up in MariaDB the names of one kind that are still missing. */
static enum err load_names(struct request *r, struct execution *const *list, size_t n,
                           enum responder_kind kind, int64_t now_ms)
{
    struct responder_name *found = NULL;
    size_t wanted_n = 0, found_n = 0;
    id *wanted = talloc_array(r, id, n + 1);
    for (size_t i = 0; i < n; i++) {
        bool repeated = wanted_n > 0 && id_equal(&wanted[wanted_n - 1], &list[i]->responder_id);
        if (!list[i]->responder_name && list[i]->kind == kind && !repeated)
            wanted[wanted_n++] = list[i]->responder_id;
    }
    enum err e = responder_names(r->app->db, r, kind, wanted, wanted_n, &found, &found_n);
    if (e != OK)
        return e;
    for (size_t k = 0; k < found_n; k++) {
        remember_name(r->app->names, &found[k], now_ms);
        for (size_t i = 0; i < n; i++) {
            if (id_equal(&list[i]->responder_id, &found[k].id))
                list[i]->responder_name = found[k].name;
        }
    }
    return OK;
}

enum err name_cache_fill(struct request *r, struct execution *const *list, size_t n)
{
    int64_t now_ms = clock_boot_ms();
    bool complete = true;
    for (size_t i = 0; i < n; i++) {
        list[i]->responder_name = find_cached_name(r, &list[i]->responder_id, now_ms);
        complete = complete && list[i]->responder_name;
    }
    if (complete)
        return OK;
    enum err e = load_names(r, list, n, KIND_WORKFLOW, now_ms);
    return e == OK ? load_names(r, list, n, KIND_SKILL, now_ms) : e;
}
