#include "fcgi/cache/skill_cache.h"

#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "base/lru.h"
#include "fcgi/http/app.h"
#include "fcgi/http/request.h"

enum { MANIFESTS_MAX = 64 };

struct manifest_key {
    id skill_id;
    int version;
};

struct skill_cache {
    struct lru *manifests;
};

struct skill_cache *skill_cache_new(void *ctx)
{
    struct skill_cache *cache = talloc_zero(ctx, struct skill_cache);
    cache->manifests = lru_new(cache, sizeof(struct manifest_key), MANIFESTS_MAX, MANIFESTS_MAX);
    return cache;
}

enum err skill_cache_manifest(struct request *r, const struct skill *skill, const struct manifest **m_r)
{
    struct skill_cache *cache = r->app->skills;
    struct manifest_key key;
    memset(&key, 0, sizeof key); /* compared as bytes, padding included */
    key.skill_id = skill->id;
    key.version = skill->version;
    *m_r = lru_get(cache->manifests, &key);
    if (*m_r)
        return OK;
    struct manifest *manifest = NULL;
    struct json_problems *p = json_problems_new(r);
    enum err e = manifest_compile(cache, skill->manifest, skill->manifest_size, &manifest, p);
    /* the manifest was checked at installation, so this is damage, or a newer build installed it */
    if (e != OK) {
        const char *why = p->count > 0 ? p->list[0].message : "",
                   *at = p->count > 0 && *p->list[0].pointer ? p->list[0].pointer : "the manifest";
        log_error("skill.compile_failed", "skill=%s version=%d request=%s message=\"%s %.300s\"",
                  skill->id.text, skill->version, r->id, at, why);
        (void)request_reject(r, 500, "internal", "This build cannot read version %s of skill %s: %s %.300s.",
                             skill->label, skill->slug, at, why);
        talloc_free(manifest);
        return ERR_INTERNAL;
    }
    lru_put(cache->manifests, &key, manifest, 1);
    *m_r = manifest;
    return OK;
}
