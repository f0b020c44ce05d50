#include "fcgi/cache/name_cache.h"

#include <talloc.h>

#include "base/clock.h"
#include "fcgi/http/app.h"
#include "fcgi/http/request.h"
#include "store/responder.h"

enum { SIZE = 256, CACHE_TTL_MS = 1000 }; /* direct-mapped */

struct name_cache_entry {
    id responder;
    int64_t fetched_ms; /* boot time; 0: empty */
    char *name;
};

struct name_cache {
    struct name_cache_entry entries[SIZE];
};

struct name_cache *name_cache_new(void *ctx)
{
    return talloc_zero(ctx, struct name_cache);
}

static struct name_cache_entry *slot_of(struct name_cache *cache, const id *responder)
{
    return &cache->entries[id_hash(responder) % SIZE];
}

static void remember_name(struct name_cache *cache, const struct responder_name *found, int64_t now_ms)
{
    struct name_cache_entry *entry = slot_of(cache, &found->id);
    talloc_free(entry->name);
    *entry = (struct name_cache_entry){found->id, now_ms, talloc_strdup(cache, found->name)};
}

static const char *find_cached_name(struct request *r, const id *responder, int64_t now_ms)
{
    const struct name_cache_entry *entry = slot_of(r->app->names, responder);
    bool fresh = entry->fetched_ms && now_ms - entry->fetched_ms < CACHE_TTL_MS;
    return fresh && id_equal(&entry->responder, responder) ? talloc_strdup(r, entry->name) : NULL;
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
