#include "executor/cache/skills.h"

#include <stdint.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "json/json.h"

/* of memory of a skill without its manifest */
enum { SKILL_BYTES = 4 * 1024 };

struct cached_skill {
    struct compiled_entry entry; /* first */
    struct skill row;
    struct manifest *manifest;
};

struct compiled_skills {
    struct compiled_cache *cache;
    struct current_rows *rows;
};

struct compiled_skills *compiled_skills_new(void *ctx, struct compute_thread *compute,
                                            struct memory_budget *memory)
{
    struct compiled_skills *all = talloc_zero(ctx, struct compiled_skills);
    all->cache = compiled_cache_new(all, compute, memory);
    all->rows = current_rows_new(all);
    return all;
}

struct compiled_cache_counts compiled_skills_count(const struct compiled_skills *all)
{
    return compiled_cache_count(all->cache);
}

struct current_rows *compiled_skills_rows(struct compiled_skills *all)
{
    return all->rows;
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

size_t cached_skill_estimate(const char *text, size_t size)
{
    return SKILL_BYTES + size + 2 * json_tree_estimate(text, size);
}

struct cached_skill *cached_skill_compile(const struct skill *row)
{
    struct cached_skill *s = talloc_zero(NULL, struct cached_skill);
    atomic_init(&s->entry.references, 1); /* the caller's, until it is added to a cache */
    if (manifest_compile(s, row->manifest, row->manifest_size, &s->manifest, NULL) != OK) {
        log_error("skill.compile_failed", "skill=%s version=%d", row->id.text, row->version);
        talloc_free(s);
        return NULL;
    }
    s->row = *row;
    s->row.slug = talloc_strdup(s, row->slug);
    s->row.label = talloc_strdup(s, row->label);
    s->entry.source_bytes = row->manifest_size;
    s->entry.memory_bytes = cached_skill_estimate(row->manifest, row->manifest_size);
    s->row.manifest = NULL;
    s->row.manifest_size = 0;
    return s;
}

static struct cached_skill *add_skill(struct compiled_skills *all, const id *skill, int version,
                                      struct cached_skill *compiled)
{
    if (!compiled) /* one without a manifest: it does not compile */
        compiled = talloc_zero(NULL, struct cached_skill);
    return compiled_cache_add(all->cache, skill, version, &compiled->entry);
}

void compiled_skills_add(struct compiled_skills *all, const id *skill, int version,
                         struct cached_skill *compiled)
{
    cached_skill_unref(add_skill(all, skill, version, compiled));
}

/* Of a reference: the skill, or ERR_INVALID if the version does not compile. */
static enum err usable(struct cached_skill *s, struct cached_skill **skill_r)
{
    *skill_r = s->manifest ? s : NULL;
    if (s->manifest)
        return OK;
    cached_skill_unref(s);
    return ERR_INVALID;
}

static enum err compile_within(struct compiled_skills *all, const struct skill *row, size_t *bytes_left,
                               struct cached_skill **skill_r)
{
    if (!row->manifest || row->manifest_size > *bytes_left)
        return ERR_LIMIT;
    *bytes_left -= row->manifest_size;
    return usable(add_skill(all, &row->id, row->version, cached_skill_compile(row)), skill_r);
}

enum err compiled_skills_get_within(struct compiled_skills *all, struct db *db, void *ctx,
                                    const id *workspace, const id *skill, int version, size_t text_max,
                                    size_t *bytes_left, struct cached_skill **skill_r, struct skill *row_r)
{
    struct cached_skill *s = compiled_cache_get(all->cache, skill, version);
    if (s)
        return usable(s, skill_r);
    enum err e = skill_get_version_within(db, ctx, workspace, skill, version, text_max, row_r);
    return e == OK ? compile_within(all, row_r, bytes_left, skill_r) : e;
}

/* The price may have changed since the version was compiled. Only the database thread reads it. */
static void take_row(struct cached_skill *s, const struct current_row *row)
{
    s->row.price = row->price;
    s->row.catalog_version = row->catalog_version;
}

enum err compiled_skills_find_within(struct compiled_skills *all, struct db *db, void *ctx,
                                     const id *workspace, const char *slug, size_t *bytes_left,
                                     struct cached_skill **skill_r, struct skill *row_r)
{
    /* a large manifest is not read if it is in the cache */
    size_t text_max = *bytes_left < INT64_MAX ? *bytes_left : INT64_MAX;
    int64_t now_ms = clock_boot_ms();
    enum err e = skill_get_current_within(db, ctx, workspace, slug, text_max, row_r);
    if (e != OK)
        return e;
    const struct current_row read = {row_r->id, row_r->version, row_r->price, row_r->catalog_version, now_ms};
    current_rows_put(all->rows, workspace, slug, &read);
    struct cached_skill *s = compiled_cache_get(all->cache, &read.responder_id, read.version);
    e = s ? usable(s, skill_r) : compile_within(all, row_r, bytes_left, skill_r);
    if (e == OK)
        take_row(*skill_r, &read);
    return e;
}

struct cached_skill *compiled_skills_find_kept(struct compiled_skills *all, const id *workspace,
                                               const char *slug)
{
    const struct current_row *kept = current_rows_get(all->rows, workspace, slug, clock_boot_ms());
    struct cached_skill *s = kept ? compiled_cache_get(all->cache, &kept->responder_id, kept->version) : NULL;
    if (!s || usable(s, &s) != OK)
        return NULL;
    take_row(s, kept);
    return s;
}

enum err compiled_skills_find(struct compiled_skills *all, struct db *db, const id *workspace,
                              const char *slug, struct cached_skill **skill_r)
{
    void *scratch = talloc_new(NULL);
    size_t bytes_left = SIZE_MAX;
    struct skill row;
    enum err e = compiled_skills_find_within(all, db, scratch, workspace, slug, &bytes_left, skill_r, &row);
    talloc_free(scratch);
    return e;
}
