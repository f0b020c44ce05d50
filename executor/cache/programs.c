#include "executor/cache/programs.h"

#include <talloc.h>

#include "base/log.h"
#include "json/json.h"

struct cached_program {
    struct compiled_entry entry; /* first */
    struct program *program;
};

struct compiled_programs {
    struct compiled_cache *cache;
};

struct compiled_programs *compiled_programs_new(void *ctx)
{
    struct compiled_programs *all = talloc_zero(ctx, struct compiled_programs);
    all->cache = compiled_cache_new(all);
    return all;
}

struct compiled_cache_counts compiled_programs_count(const struct compiled_programs *all)
{
    return compiled_cache_count(all->cache);
}

const struct program *cached_program_compiled(const struct cached_program *p)
{
    return p->program;
}

struct cached_program *cached_program_ref(struct cached_program *p)
{
    compiled_entry_ref(&p->entry);
    return p;
}

void cached_program_unref(struct cached_program *p)
{
    compiled_entry_unref(p ? &p->entry : NULL);
}

static enum err compile_cached_program(const id *workflow, int version, const char *text, size_t size,
                                       struct cached_program **program_r)
{
    struct cached_program *p = talloc_zero(NULL, struct cached_program);
    void *scratch = talloc_new(p);
    struct json_problems *problems = json_problems_new(scratch);
    json_object *document;
    const char *why = "is not JSON";
    enum err e = json_parse_tolerant(scratch, text, size, JSON_DEPTH_MAX, &document, &why);
    if (e == OK)
        e = program_compile(p, document, NULL, &p->program, problems);
    if (e != OK) {
        if (problems->count > 0)
            why = problems->list[0].message;
        log_error("workflow.compile_failed", "workflow=%s version=%d message=\"%s\"", workflow->text, version,
                  why);
        talloc_free(p);
        return ERR_INVALID;
    }
    talloc_free(scratch);
    *program_r = p;
    return OK;
}

static enum err load_program(struct db *db, const id *workflow, int version,
                             struct cached_program **program_r)
{
    void *scratch = talloc_new(NULL);
    struct db_value args[] = {db_id(workflow), db_number(version)};
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_WORKFLOW_PROGRAM, args, 2, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e == OK)
        e = compile_cached_program(workflow, version, db_str(rows, 0, WORKFLOW_PROGRAM_PROGRAM),
                                   db_cell(rows, 0, WORKFLOW_PROGRAM_PROGRAM)->size, program_r);
    talloc_free(scratch);
    return e;
}

enum err compiled_programs_get(struct compiled_programs *all, struct db *db, const id *workflow, int version,
                               struct cached_program **program_r)
{
    struct cached_program *p = compiled_cache_get(all->cache, workflow, version);
    if (!p) {
        enum err e = load_program(db, workflow, version, &p);
        if (e != OK)
            return e;
        p = compiled_cache_add(all->cache, workflow, version, &p->entry);
    }
    *program_r = p;
    return OK;
}
