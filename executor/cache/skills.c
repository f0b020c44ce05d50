#include "executor/cache/skills.h"

#include <stdatomic.h>
#include <talloc.h>

#include "base/log.h"

struct cached_skill { /* a talloc context of its own: the last reference may go in another thread */
    atomic_int references;
    uint64_t used;
    struct skill row;
    struct manifest *manifest;
};

struct compiled_skills { /* the database thread's alone */
    struct cached_skill *list[COMPILED_SKILLS_MAX];
    size_t count;
    uint64_t uses;
};

static int compiled_skills_destroy(struct compiled_skills *all)
{
    for (size_t i = 0; i < all->count; i++)
        cached_skill_unref(all->list[i]);
    return 0;
}

struct compiled_skills *compiled_skills_new(void *ctx)
{
    struct compiled_skills *all = talloc_zero(ctx, struct compiled_skills);
    talloc_set_destructor(all, compiled_skills_destroy);
    return all;
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
    atomic_fetch_add(&s->references, 1);
    return s;
}

void cached_skill_unref(struct cached_skill *s)
{
    if (s && atomic_fetch_sub(&s->references, 1) == 1)
        talloc_free(s);
}

static struct cached_skill *find_cached_skill(struct compiled_skills *all, const id *skill, int version)
{
    for (size_t i = 0; i < all->count; i++) {
        struct cached_skill *s = all->list[i];
        if (s->row.version == version && id_equal(&s->row.id, skill))
            return s;
    }
    return NULL;
}

static void insert_skill(struct compiled_skills *all, struct cached_skill *s)
{
    size_t index = all->count;
    if (index < COMPILED_SKILLS_MAX) {
        all->count++;
    } else {
        index = 0;
        for (size_t i = 1; i < all->count; i++) {
            if (all->list[i]->used < all->list[index]->used)
                index = i;
        }
        cached_skill_unref(all->list[index]);
    }
    all->list[index] = s;
}

static enum err compile_cached_skill(const struct skill *row, struct cached_skill **skill_r)
{
    struct cached_skill *s = talloc_zero(NULL, struct cached_skill);
    if (manifest_compile(s, row->manifest, row->manifest_size, &s->manifest, NULL) != OK) {
        log_error("skill.broken", "skill=%s version=%d", row->id.text, row->version);
        talloc_free(s);
        return ERR_INVALID;
    }
    s->row = *row;
    s->row.slug = talloc_strdup(s, row->slug);
    s->row.label = talloc_strdup(s, row->label);
    s->row.manifest = NULL;
    s->row.manifest_size = 0;
    atomic_init(&s->references, 1);
    *skill_r = s;
    return OK;
}

static enum err take_reference(struct compiled_skills *all, struct cached_skill *s,
                               struct cached_skill **skill_r)
{
    s->used = ++all->uses;
    *skill_r = cached_skill_ref(s);
    return OK;
}

enum err compiled_skills_get(struct compiled_skills *all, struct db *db, const id *workspace, const id *skill,
                             int version, struct cached_skill **skill_r)
{
    struct cached_skill *s = find_cached_skill(all, skill, version);
    if (!s) {
        void *scratch = talloc_new(all);
        struct skill row;
        enum err e = skill_get_version(db, scratch, workspace, skill, version, &row);
        if (e == OK)
            e = compile_cached_skill(&row, &s);
        talloc_free(scratch);
        if (e != OK)
            return e;
        insert_skill(all, s);
    }
    return take_reference(all, s, skill_r);
}

enum err compiled_skills_find(struct compiled_skills *all, struct db *db, const id *workspace,
                              const char *slug, struct cached_skill **skill_r)
{
    void *scratch = talloc_new(all);
    struct cached_skill *s = NULL;
    struct skill row;
    enum err e = skill_get_current(db, scratch, workspace, slug, &row);
    if (e == OK && !(s = find_cached_skill(all, &row.id, row.version)) &&
        (e = compile_cached_skill(&row, &s)) == OK)
        insert_skill(all, s);
    if (e == OK) {
        s->row.price = row.price; /* the operator may have changed it; no other thread looks at it */
        e = take_reference(all, s, skill_r);
    }
    talloc_free(scratch);
    return e;
}
