#include "fcgi/cache/skill_cache.h"

#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "fcgi/cache/lru.h"
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
    enum err e = manifest_compile(cache, skill->manifest, skill->manifest_size, &manifest, NULL);
    /* the manifest was checked at installation, so this is damage */
    if (e != OK) {
        log_error("skill.compile_failed", "skill=%s version=%d", skill->id.text, skill->version);
        talloc_free(manifest);
        return ERR_INTERNAL;
    }
    lru_put(cache->manifests, &key, manifest, 1);
    *m_r = manifest;
    return OK;
}
