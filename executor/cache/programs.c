#include "executor/cache/programs.h"

#include <stdatomic.h>
#include <talloc.h>

#include "base/log.h"
#include "executor/cache/skills.h"
#include "json/json.h"

struct cached_program { /* a talloc context of its own: the last reference may go in another thread */
    atomic_int references;
    id workflow;
    int version;
    uint64_t used;
    struct program *program;
};

struct compiled_programs { /* the database thread's alone */
    struct cached_program *list[COMPILED_PROGRAMS_MAX];
    size_t count;
    uint64_t uses;
    struct compiled_skills *skills;
};

static int compiled_programs_destroy(struct compiled_programs *all)
{
    for (size_t i = 0; i < all->count; i++)
        cached_program_unref(all->list[i]);
    return 0;
}

struct compiled_programs *compiled_programs_new(void *ctx)
{
    struct compiled_programs *all = talloc_zero(ctx, struct compiled_programs);
    all->skills = compiled_skills_new(all);
    talloc_set_destructor(all, compiled_programs_destroy);
    return all;
}

struct compiled_skills *compiled_programs_skills(struct compiled_programs *all)
{
    return all->skills;
}

const struct program *cached_program_compiled(const struct cached_program *p)
{
    return p->program;
}

struct cached_program *cached_program_ref(struct cached_program *p)
{
    atomic_fetch_add(&p->references, 1);
    return p;
}

void cached_program_unref(struct cached_program *p)
{
    if (p && atomic_fetch_sub(&p->references, 1) == 1)
        talloc_free(p);
}

static struct cached_program *find_cached_program(struct compiled_programs *all, const id *workflow,
                                                  int version)
{
    for (size_t i = 0; i < all->count; i++) {
        struct cached_program *p = all->list[i];
        if (p->version == version && id_equal(&p->workflow, workflow))
            return p;
    }
    return NULL;
}

static void insert_program(struct compiled_programs *all, struct cached_program *p)
{
    size_t index = all->count;
    if (index < COMPILED_PROGRAMS_MAX) {
        all->count++;
    } else {
        index = 0;
        for (size_t i = 1; i < all->count; i++) {
            if (all->list[i]->used < all->list[index]->used)
                index = i;
        }
        cached_program_unref(all->list[index]);
    }
    all->list[index] = p;
}

static enum err compile_cached_program(const id *workflow, int version, const char *text, size_t size,
                                       struct cached_program **program_r)
{
    struct cached_program *p = talloc_zero(NULL, struct cached_program);
    void *scratch = talloc_new(p);
    struct json_problems *problems = json_problems_new(scratch);
    json_object *document;
    const char *why = "is no JSON";
    enum err e = json_parse(scratch, text, size, JSON_DEPTH_MAX, &document, &why);
    if (e == OK)
        e = program_compile(p, document, NULL, &p->program, problems);
    if (e != OK) {
        if (problems->count > 0)
            why = problems->list[0].message;
        log_error("program.broken", "workflow=%s version=%d message=\"%s\"", workflow->text, version, why);
        talloc_free(p);
        return ERR_INVALID;
    }
    talloc_free(scratch);
    p->workflow = *workflow;
    p->version = version;
    atomic_init(&p->references, 1);
    *program_r = p;
    return OK;
}

enum err compiled_programs_get(struct compiled_programs *all, struct db *db, const id *workflow, int version,
                               struct cached_program **program_r)
{
    struct cached_program *p = find_cached_program(all, workflow, version);
    if (!p) {
        void *scratch = talloc_new(all);
        struct db_value args[] = {db_id(workflow), db_number(version)};
        struct db_rows *rows;
        enum err e = db_run(db, scratch, SQL_WORKFLOW_PROGRAM, args, 2, &rows);
        if (e == OK && rows->count == 0)
            e = ERR_NOT_FOUND;
        if (e == OK)
            e = compile_cached_program(workflow, version, db_str(rows, 0, WORKFLOW_PROGRAM_PROGRAM),
                                       db_cell(rows, 0, WORKFLOW_PROGRAM_PROGRAM)->size, &p);
        talloc_free(scratch);
        if (e != OK)
            return e;
        insert_program(all, p);
    }
    p->used = ++all->uses;
    *program_r = cached_program_ref(p);
    return OK;
}
