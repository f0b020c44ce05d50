#include "fcgi/cache/workflow_cache.h"

#include <string.h>
#include <talloc.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/log.h"
#include "fcgi/http/app.h"
#include "fcgi/http/request.h"
#include "json/json.h"

/* Programs are kept up to so many, and so many bytes of their source; then all are forgotten. */
enum { PROGRAMS_MAX = 512, SOURCE_MAX = 2 * 1024 * 1024, CACHE_TTL_MS = 1000 };

struct program_key {
    id workspace_id, workflow_id;
    int version;
};

struct compiled_entry {
    struct program_key key;
    struct compiled compiled;
    UT_hash_handle hh;
};

struct workflow_cache {
    struct compiled_entry *compiled;
    size_t source_size;
};

static int forget_programs(struct workflow_cache *cache)
{
    struct compiled_entry *entry, *next;
    HASH_ITER(hh, cache->compiled, entry, next)
    {
        HASH_DEL(cache->compiled, entry);
        talloc_free(entry);
    }
    cache->source_size = 0;
    return 0;
}

struct workflow_cache *workflow_cache_new(void *ctx)
{
    struct workflow_cache *cache = talloc_zero(ctx, struct workflow_cache);
    /* uthash allocates its table by malloc, so talloc does not free it */
    talloc_set_destructor(cache, forget_programs);
    return cache;
}

enum err workflow_cache_current(struct request *r, const id *workflow, bool bypass_cache,
                                struct workflow_cached_version *cached_r)
{
    struct shared_cache *cache = r->app->shared->workflows;
    const id *workspace = &r->access.workspace_id;
    int64_t now_ms = clock_boot_ms();
    if (!bypass_cache && shared_cache_get(cache, workflow, cached_r) &&
        now_ms - cached_r->fetched_ms < CACHE_TTL_MS && id_equal(&cached_r->workspace_id, workspace))
        return OK;
    struct workflow current;
    enum err e = workflow_get_current(r->app->db, r, workspace, workflow, &current);
    if (e != OK)
        return e;
    memset(cached_r, 0, sizeof *cached_r); /* shared_cache_put: padding must be zero */
    cached_r->fetched_ms = now_ms;
    cached_r->credits = current.credits;
    cached_r->price = current.price;
    cached_r->catalog_version = current.catalog_version;
    cached_r->workspace_id = *workspace;
    cached_r->version = current.version;
    shared_cache_put(cache, workflow, cached_r);
    return OK;
}

/* A program is checked before it is stored, so one that does not compile now is damaged. */
static enum err compile_stored_program(struct compiled_entry *entry, const char *text, size_t size)
{
    json_object *document;
    const char *why;
    void *scratch = talloc_new(NULL);
    enum err e = json_parse(scratch, text, size, JSON_DEPTH_MAX, &document, &why);
    if (e == OK)
        e = program_compile(entry, document, NULL, &entry->compiled.program, json_problems_new(scratch));
    talloc_free(scratch);
    return e;
}

static void remember_program(struct workflow_cache *cache, struct compiled_entry *entry, size_t size)
{
    if (HASH_COUNT(cache->compiled) >= PROGRAMS_MAX || cache->source_size + size > SOURCE_MAX)
        forget_programs(cache);
    HASH_ADD(hh, cache->compiled, key, sizeof entry->key, entry);
    cache->source_size += size;
}

enum err workflow_cache_compiled(struct request *r, const id *workflow, int version,
                                 const struct compiled **c_r)
{
    struct workflow_cache *cache = r->app->workflows;
    struct compiled_entry *entry;
    struct program_key key;
    memset(&key, 0, sizeof key); /* compared as bytes, padding included */
    key.workspace_id = r->access.workspace_id;
    key.workflow_id = *workflow;
    key.version = version;
    HASH_FIND(hh, cache->compiled, &key, sizeof key, entry);
    if (!entry) {
        const char *text;
        size_t size;
        enum err e = workflow_get_program(r->app->db, r, &key.workspace_id, workflow, version, &text, &size);
        if (e != OK)
            return e;
        entry = talloc_zero(cache, struct compiled_entry);
        memcpy(&entry->key, &key, sizeof key);
        if (compile_stored_program(entry, text, size) != OK) {
            log_error("workflow.compile_failed", "workflow=%s version=%d", workflow->text, version);
            talloc_free(entry);
            return ERR_INTERNAL;
        }
        remember_program(cache, entry, size);
    }
    *c_r = &entry->compiled;
    return OK;
}
