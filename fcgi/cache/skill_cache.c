#include "fcgi/cache/skill_cache.h"

#include <talloc.h>

#include "base/log.h"
#include "fcgi/http/app.h"
#include "fcgi/http/request.h"

enum { SIZE = 64 }; /* direct-mapped by the skill's hash */

struct skill_cache_entry {
    id skill_id;
    int version; /* 0: empty */
    struct manifest *manifest;
};

struct skill_cache {
    struct skill_cache_entry entries[SIZE];
};

struct skill_cache *skill_cache_new(void *ctx)
{
    return talloc_zero(ctx, struct skill_cache);
}

enum err skill_cache_manifest(struct request *r, const struct skill *skill, const struct manifest **m_r)
{
    struct skill_cache *cache = r->app->skills;
    struct skill_cache_entry *entry = &cache->entries[skill->hash[0] % SIZE];
    if (entry->version != skill->version || !id_equal(&entry->skill_id, &skill->id)) {
        talloc_free(entry->manifest);
        *entry = (struct skill_cache_entry){.skill_id = skill->id, .version = skill->version};
        enum err e = manifest_compile(cache, skill->manifest, skill->manifest_size, &entry->manifest, NULL);
        /* the manifest was checked at installation, so this is damage */
        if (e != OK) {
            log_error("skill.compile_failed", "skill=%s version=%d", skill->id.text, skill->version);
            talloc_free(entry->manifest);
            *entry = (struct skill_cache_entry){0};
            return ERR_INTERNAL;
        }
    }
    *m_r = entry->manifest;
    return OK;
}
