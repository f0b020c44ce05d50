#include "executor/cache/skills.h"

#include <stdatomic.h>
#include <string.h>
#include <talloc.h>

#include "base/log.h"

struct cached_skill { /* a talloc context of its own: the last reference may go in another thread */
    atomic_int references;
    uint64_t used;
    struct skill row;
    struct manifest *manifest;
};

struct skills { /* the database thread's alone */
    struct cached_skill *list[SKILLS_MAX];
    size_t count;
    uint64_t uses;
};

static int destroy(struct skills *all)
{
    for (size_t i = 0; i < all->count; i++)
        skills_unref(all->list[i]);
    return 0;
}

struct skills *skills_new(void *ctx)
{
    struct skills *all = talloc_zero(ctx, struct skills);
    talloc_set_destructor(all, destroy);
    return all;
}

const struct manifest *skills_manifest(const struct cached_skill *s)
{
    return s->manifest;
}

const struct skill *skills_row(const struct cached_skill *s)
{
    return &s->row;
}

struct cached_skill *skills_ref(struct cached_skill *s)
{
    atomic_fetch_add(&s->references, 1);
    return s;
}

void skills_unref(struct cached_skill *s)
{
    if (s && atomic_fetch_sub(&s->references, 1) == 1)
        talloc_free(s);
}

static struct cached_skill *find(struct skills *all, const id *skill, int version)
{
    for (size_t i = 0; i < all->count; i++) {
        struct cached_skill *s = all->list[i];
        if (s->row.version == version && strcmp(s->row.id.text, skill->text) == 0)
            return s;
    }
    return NULL;
}

static void keep(struct skills *all, struct cached_skill *s)
{
    size_t place = all->count;
    if (place < SKILLS_MAX) {
        all->count++;
    } else {
        place = 0;
        for (size_t i = 1; i < all->count; i++) {
            if (all->list[i]->used < all->list[place]->used)
                place = i;
        }
        skills_unref(all->list[place]);
    }
    all->list[place] = s;
}

static enum err compile(const struct skill *row, struct cached_skill **skill_r)
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

static enum err give(struct skills *all, struct cached_skill *s, struct cached_skill **skill_r)
{
    s->used = ++all->uses;
    *skill_r = skills_ref(s);
    return OK;
}

enum err skills_get(struct skills *all, struct db *db, const id *workspace, const id *skill, int version,
                    struct cached_skill **skill_r)
{
    struct cached_skill *s = find(all, skill, version);
    if (!s) {
        void *scratch = talloc_new(all);
        struct skill row;
        enum err e = skill_version(db, scratch, workspace, skill, version, &row);
        if (e == OK)
            e = compile(&row, &s);
        talloc_free(scratch);
        if (e != OK)
            return e;
        keep(all, s);
    }
    return give(all, s, skill_r);
}

enum err skills_find(struct skills *all, struct db *db, const id *workspace, const char *slug,
                     struct cached_skill **skill_r)
{
    void *scratch = talloc_new(all);
    struct cached_skill *s = NULL;
    struct skill row;
    enum err e = skill_now(db, scratch, workspace, slug, &row);
    if (e == OK && !(s = find(all, &row.id, row.version)) && (e = compile(&row, &s)) == OK)
        keep(all, s);
    if (e == OK) {
        s->row.price = row.price; /* the operator may have changed it; no other thread looks at it */
        e = give(all, s, skill_r);
    }
    talloc_free(scratch);
    return e;
}
