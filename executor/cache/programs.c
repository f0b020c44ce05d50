#include "executor/cache/programs.h"

#include <stdint.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "json/json.h"

enum { PROGRAM_BYTES = 16 * 1024 };

struct cached_program {
    struct compiled_entry entry; /* first */
    struct program *program;
};

struct compiled_programs {
    struct memory_budget *memory;
    struct compiled_cache *cache;
    struct current_rows *rows;
};

struct compiled_programs *compiled_programs_new(void *ctx, struct compute_thread *compute,
                                                struct memory_budget *memory)
{
    struct compiled_programs *all = talloc_zero(ctx, struct compiled_programs);
    all->memory = memory;
    all->cache = compiled_cache_new(all, compute, memory);
    all->rows = current_rows_new(all);
    return all;
}

bool compiled_programs_admit(struct compiled_programs *all, size_t bytes)
{
    size_t dropped = 0;
    size_t one;
    while (!memory_budget_fit(all->memory, bytes)) {
        /* no more than is needed: the compute thread frees large ones later, and then there is room */
        if (dropped >= bytes || !compiled_cache_drop_unused(all->cache, &one))
            return memory_budget_admit(all->memory, bytes);
        dropped += one;
    }
    return true;
}

struct compiled_cache_counts compiled_programs_count(const struct compiled_programs *all)
{
    return compiled_cache_count(all->cache);
}

struct current_rows *compiled_programs_rows(struct compiled_programs *all)
{
    return all->rows;
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

size_t cached_program_estimate(const char *text, size_t size)
{
    return PROGRAM_BYTES + size + 2 * json_tree_estimate(text, size);
}

struct cached_program *cached_program_compile(const id *workflow, int version, const char *text, size_t size)
{
    struct cached_program *p = talloc_zero(NULL, struct cached_program);
    void *scratch = talloc_new(p);
    atomic_init(&p->entry.references, 1); /* the caller's, until it is added to a cache */
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
        return NULL;
    }
    p->entry.source_bytes = size;
    p->entry.memory_bytes = cached_program_estimate(text, size);
    talloc_free(scratch);
    return p;
}

static struct cached_program *add_program(struct compiled_programs *all, const id *workflow, int version,
                                          struct cached_program *program)
{
    if (!program) /* one without a program: it does not compile */
        program = talloc_zero(NULL, struct cached_program);
    return compiled_cache_add(all->cache, workflow, version, &program->entry);
}

void compiled_programs_add(struct compiled_programs *all, const id *workflow, int version,
                           struct cached_program *program)
{
    cached_program_unref(add_program(all, workflow, version, program));
}

/* Of ctx. *text_r is NULL if the text has more than text_max bytes. */
static enum err load_text(struct db *db, void *ctx, const id *workflow, int version, size_t text_max,
                          const char **text_r, size_t *size_r)
{
    struct db_value args[] = {db_number((int64_t)text_max), db_id(workflow), db_number(version)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_WORKFLOW_PROGRAM, args, 3, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e != OK)
        return e;
    *text_r = db_str(rows, 0, WORKFLOW_PROGRAM_PROGRAM);
    *size_r = db_cell(rows, 0, WORKFLOW_PROGRAM_PROGRAM)->size;
    return OK;
}

/* Of a reference: the program, or ERR_INVALID if the version does not compile. */
static enum err usable(struct cached_program *p, struct cached_program **program_r)
{
    *program_r = p->program ? p : NULL;
    if (p->program)
        return OK;
    cached_program_unref(p);
    return ERR_INVALID;
}

enum err compiled_programs_get_within(struct compiled_programs *all, struct db *db, void *ctx,
                                      const id *workflow, int version, size_t text_max, size_t *bytes_left,
                                      struct cached_program **program_r, const char **text_r, size_t *size_r)
{
    struct cached_program *p = compiled_cache_get(all->cache, workflow, version);
    if (p)
        return usable(p, program_r);
    enum err e = load_text(db, ctx, workflow, version, text_max, text_r, size_r);
    if (e != OK)
        return e;
    if (!*text_r || *size_r > *bytes_left)
        return ERR_LIMIT;
    *bytes_left -= *size_r;
    p = cached_program_compile(workflow, version, *text_r, *size_r);
    return usable(add_program(all, workflow, version, p), program_r);
}

enum err compiled_programs_get(struct compiled_programs *all, struct db *db, const id *workflow, int version,
                               struct cached_program **program_r)
{
    void *scratch = talloc_new(NULL);
    size_t bytes_left = SIZE_MAX;
    const char *text;
    size_t size;
    enum err e = compiled_programs_get_within(all, db, scratch, workflow, version, INT64_MAX, &bytes_left,
                                              program_r, &text, &size);
    talloc_free(scratch);
    return e;
}

/* --- current versions --- */

static struct current_row row_of_workflow(const struct db_rows *rows, const id *workflow, int64_t read_ms)
{
    return (struct current_row){
        .responder_id = *workflow,
        .version = (int)db_int(rows, 0, EXECUTOR_WORKFLOW_VERSION),
        .price = db_int_or(rows, 0, EXECUTOR_WORKFLOW_PRICE, -1),
        .catalog_version = db_int(rows, 0, EXECUTOR_WORKFLOW_RESPONDERS),
        .read_ms = read_ms,
    };
}

enum err compiled_programs_find_current(struct compiled_programs *all, struct db *db, const id *workspace,
                                        const id *workflow, struct current_row *row_r)
{
    struct db_value args[] = {db_id(workflow), db_id(workspace)};
    int64_t now_ms = clock_boot_ms();
    void *scratch = talloc_new(NULL);
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_EXECUTOR_WORKFLOW, args, 2, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e == OK) {
        *row_r = row_of_workflow(rows, workflow, now_ms);
        current_rows_put(all->rows, workspace, workflow->text, row_r);
    }
    talloc_free(scratch);
    return e;
}
