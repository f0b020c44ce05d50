#include "fcgi/workflow_cache.h"

#include <string.h>
#include <talloc.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/log.h"
#include "fcgi/app.h"
#include "fcgi/request.h"

/* Programs are direct-mapped, and kept up to so many bytes of their source; then all are forgotten. */
enum { COMPILED_SIZE = 128, STALE_MS = 1000, SOURCE_MAX = 2 * 1024 * 1024 };

struct compiled_entry {
    void *pool; /* owns what is compiled */
    id workspace_id, workflow_id;
    int version; /* 0: empty */
    struct compiled compiled;
};

struct workflow_cache {
    struct compiled_entry compiled[COMPILED_SIZE];
    size_t source_size;
};

struct workflow_cache *workflow_cache_new(void *ctx)
{
    return talloc_zero(ctx, struct workflow_cache);
}

static bool same(const id *a, const id *b)
{
    return strcmp(a->text, b->text) == 0;
}

enum err workflow_cache_now(struct request *r, const id *workflow, bool fresh, struct workflow_known *known_r)
{
    struct shared_cache *cache = r->app->shared->workflows;
    const id *workspace = &r->access.workspace_id;
    int64_t now_ms = clock_boot_ms();
    if (!fresh && shared_cache_get(cache, workflow, known_r) && now_ms - known_r->asked_ms < STALE_MS &&
        same(&known_r->workspace_id, workspace))
        return OK;
    struct workflow w;
    enum err e = workflow_now(r->app->db, r, workspace, workflow, &w);
    if (e != OK)
        return e;
    memset(known_r, 0, sizeof *known_r); /* padding, too */
    known_r->asked_ms = now_ms;
    known_r->credits = w.credits;
    known_r->price = w.price;
    known_r->responders = w.responders;
    known_r->workspace_id = *workspace;
    known_r->version = w.version;
    shared_cache_put(cache, workflow, known_r);
    return OK;
}

/* A stored program was checked when it was stored; one that does not compile now is broken. */
static enum err compile(struct compiled_entry *entry, const char *text, size_t size)
{
    json_object *document;
    const char *why;
    void *scratch = talloc_new(NULL);
    enum err e = json_parse(scratch, text, size, JSON_DEPTH_MAX, &document, &why);
    if (e == OK)
        e = program_compile(entry->pool, document, NULL, &entry->compiled.program, problems_new(scratch));
    talloc_free(scratch);
    return e;
}

static void forget(struct workflow_cache *cache)
{
    for (int i = 0; i < COMPILED_SIZE; i++) {
        talloc_free(cache->compiled[i].pool);
        cache->compiled[i] = (struct compiled_entry){0};
    }
    cache->source_size = 0;
}

enum err workflow_cache_compiled(struct request *r, const id *workflow, int version,
                                 const struct compiled **c_r)
{
    struct workflow_cache *cache = r->app->workflows;
    const id *workspace = &r->access.workspace_id;
    struct compiled_entry *entry = &cache->compiled[(id_hash(workflow) + (unsigned)version) % COMPILED_SIZE];
    *c_r = &entry->compiled;
    if (entry->version == version && same(&entry->workflow_id, workflow) &&
        same(&entry->workspace_id, workspace))
        return OK;
    const char *text;
    size_t size;
    enum err e = workflow_version(r->app->db, r, workspace, workflow, version, &text, &size);
    if (e != OK)
        return e;
    if (cache->source_size + size > SOURCE_MAX)
        forget(cache);
    talloc_free(entry->pool);
    *entry = (struct compiled_entry){.pool = talloc_new(cache)};
    cache->source_size += size;
    if (compile(entry, text, size) != OK) {
        log_error("workflow.broken", "workflow=%s version=%d", workflow->text, version);
        return ERR_INTERNAL;
    }
    entry->workspace_id = *workspace;
    entry->workflow_id = *workflow;
    entry->version = version;
    return OK;
}
