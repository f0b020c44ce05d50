#include "executor/cache/skills.h"

#include <talloc.h>

#include "base/log.h"
#include "json/json.h"

struct cached_skill {
    struct compiled_entry entry; /* first */
    struct skill row;
    struct manifest *manifest;
};

struct compiled_skills {
    struct compiled_cache *cache;
};

struct compiled_skills *compiled_skills_new(void *ctx, struct compute_thread *compute,
                                            struct memory_budget *memory)
{
    struct compiled_skills *all = talloc_zero(ctx, struct compiled_skills);
    all->cache = compiled_cache_new(all, compute, memory);
    return all;
}

struct compiled_cache_counts compiled_skills_count(const struct compiled_skills *all)
{
    return compiled_cache_count(all->cache);
}

const struct manifest *cached_skill_manifest(const struct cached_skill *s)
{
    return s->manifest;
}

const struct skill *cached_skill_row(const struct cached_skill *s)
{
    return &s->row;
}

struct cached_skill *cached_skill_ref(struct cached_skill *s)
{
    compiled_entry_ref(&s->entry);
    return s;
}

void cached_skill_unref(struct cached_skill *s)
{
    compiled_entry_unref(s ? &s->entry : NULL);
}

static enum err compile_cached_skill(const struct skill *row, struct cached_skill **skill_r)
{
    struct cached_skill *s = talloc_zero(NULL, struct cached_skill);
    if (manifest_compile(s, row->manifest, row->manifest_size, &s->manifest, NULL) != OK) {
        log_error("skill.compile_failed", "skill=%s version=%d", row->id.text, row->version);
        talloc_free(s);
        return ERR_INVALID;
    }
    s->row = *row;
    s->row.slug = talloc_strdup(s, row->slug);
    s->row.label = talloc_strdup(s, row->label);
    s->entry.source_bytes = row->manifest_size;
    s->entry.memory_bytes = 2 * json_tree_estimate(row->manifest, row->manifest_size);
    s->row.manifest = NULL;
    s->row.manifest_size = 0;
    *skill_r = s;
    return OK;
}

static enum err compile_and_add(struct compiled_skills *all, const struct skill *row,
                                struct cached_skill **skill_r)
{
    struct cached_skill *s;
    enum err e = compile_cached_skill(row, &s);
    if (e == OK)
        *skill_r = compiled_cache_add(all->cache, &row->id, row->version, &s->entry);
    return e;
}

enum err compiled_skills_get(struct compiled_skills *all, struct db *db, const id *workspace, const id *skill,
                             int version, struct cached_skill **skill_r)
{
    *skill_r = compiled_cache_get(all->cache, skill, version);
    if (*skill_r)
        return OK;
    void *scratch = talloc_new(NULL);
    struct skill row;
    enum err e = skill_get_version(db, scratch, workspace, skill, version, &row);
    if (e == OK)
        e = compile_and_add(all, &row, skill_r);
    talloc_free(scratch);
    return e;
}

enum err compiled_skills_find(struct compiled_skills *all, struct db *db, const id *workspace,
                              const char *slug, struct cached_skill **skill_r)
{
    void *scratch = talloc_new(NULL);
    struct skill row;
    enum err e = skill_get_current(db, scratch, workspace, slug, &row);
    if (e == OK) {
        *skill_r = compiled_cache_get(all->cache, &row.id, row.version);
        e = *skill_r ? OK : compile_and_add(all, &row, skill_r);
    }
    if (e == OK)
        (*skill_r)->row.price = row.price; /* the operator may have changed it; only this thread reads it */
    talloc_free(scratch);
    return e;
}
