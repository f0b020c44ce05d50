#include "fcgi/cache/workflow_cache.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/lru.h"
#include "fcgi/http/app.h"
#include "fcgi/http/request.h"
#include "fcgi/http/slow.h"
#include "json/json.h"

/* Limits of the compiled programs; the second one is in octets of their source text. */
enum { PROGRAMS_MAX = 512, SOURCE_MAX = 2 * 1024 * 1024, CACHE_TTL_MS = 1000 };

struct program_key {
    id workspace_id, workflow_id;
    int version;
};

struct workflow_cache {
    struct lru *programs;
};

struct workflow_cache *workflow_cache_new(void *ctx)
{
    struct workflow_cache *cache = talloc_zero(ctx, struct workflow_cache);
    cache->programs = lru_new(cache, sizeof(struct program_key), PROGRAMS_MAX, SOURCE_MAX);
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

/* A program is checked before it is stored, so one that does not compile now is damaged, or was stored by a
 * newer build. *why_r is then the cause, of ctx. */
static enum err compile_stored_program(void *ctx, struct compiled *compiled, const char *text, size_t size,
                                       const char **why_r)
{
    json_object *document;
    const char *why = "";
    void *scratch = talloc_new(NULL);
    struct json_problems *p = json_problems_new(scratch);
    enum err e = json_parse_tolerant(scratch, text, size, JSON_DEPTH_MAX, &document, &why);
    if (e == OK)
        e = program_compile(compiled, document, NULL, &compiled->program, p);
    *why_r = p->count > 0 ? talloc_asprintf(ctx, "%s %s", p->list[0].pointer, p->list[0].message)
                          : talloc_strdup(ctx, why);
    talloc_free(scratch);
    return e;
}

enum err workflow_cache_compiled(struct request *r, const id *workflow, int version,
                                 const struct compiled **c_r)
{
    struct workflow_cache *cache = r->app->workflows;
    struct program_key key;
    memset(&key, 0, sizeof key); /* compared as bytes, padding included */
    key.workspace_id = r->access.workspace_id;
    key.workflow_id = *workflow;
    key.version = version;
    *c_r = lru_get(cache->programs, &key);
    if (*c_r)
        return OK;
    const char *text, *why;
    size_t size;
    enum err e = workflow_get_program(r->app->db, r, &key.workspace_id, workflow, version, &text, &size);
    if (e != OK)
        return e;
    if (size > SLOW_JSON_BYTES && !slow_try(r))
        return ERR_RETRY;
    struct compiled *compiled = talloc_zero(cache, struct compiled);
    if (compile_stored_program(r, compiled, text, size, &why) != OK) {
        log_error("workflow.compile_failed", "workflow=%s version=%d request=%s message=\"%.300s\"",
                  workflow->text, version, r->id, why);
        (void)request_reject(r, 500, "internal", "This build cannot read version %d of workflow %s: %.300s.",
                             version, workflow->text, why);
        talloc_free(compiled);
        return ERR_INTERNAL;
    }
    lru_put(cache->programs, &key, compiled, size);
    *c_r = compiled;
    return OK;
}
