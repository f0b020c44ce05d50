#include "executor/lease/run_target.h"

#include <talloc.h>

#include "executor/cache/programs.h"
#include "executor/cache/skills.h"
#include "skill/extra.h"
#include "store/model.h"
#include "json/json.h"

struct run_targets {
    /* This thread's own: the database thread owns the process's cache. */
    struct compiled_programs *programs;
    struct compiled_skills *skills;
    /* What run_targets_program has read last; NULL: nothing. */
    struct cached_program *read;
};

static int run_targets_destroy(struct run_targets *targets)
{
    cached_program_unref(targets->read);
    return 0;
}

struct run_targets *run_targets_new(void *ctx)
{
    struct run_targets *targets = talloc_zero(ctx, struct run_targets);
    talloc_set_destructor(targets, run_targets_destroy);
    targets->programs = compiled_programs_new(targets, NULL, NULL);
    targets->skills = compiled_skills_new(targets, NULL, NULL);
    return targets;
}

/* ERR_INVALID: the inputs do not match the schema of the workflow's current version. */
static enum err check_inputs(void *ctx, const struct run_request *req, const struct schema *schema)
{
    static const char empty_object[] = "{}";
    struct span text = req->input.at ? req->input : (struct span){empty_object, sizeof empty_object - 1};
    struct schema_problems problems = {0};
    json_object *inputs;
    const char *why;
    enum err e = json_parse(ctx, text.at, text.size, JSON_DEPTH_MAX, &inputs, &why);
    if (e == OK && schema)
        e = schema_validate(ctx, schema, inputs, &problems);
    return e == OK || err_is_transient(e) ? e : ERR_INVALID;
}

enum err run_target_workflow(struct run_targets *targets, struct db *db, void *ctx, struct run_request *req)
{
    struct db_value args[] = {db_id(&req->responder_id), db_id(&req->workspace_id)};
    struct cached_program *program = NULL;
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_EXECUTOR_WORKFLOW, args, 2, &rows);
    if (e != OK || rows->count == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    req->version = (int)db_int(rows, 0, EXECUTOR_WORKFLOW_VERSION);
    req->price =
        db_cell(rows, 0, EXECUTOR_WORKFLOW_PRICE)->is_null ? -1 : db_int(rows, 0, EXECUTOR_WORKFLOW_PRICE);
    e = compiled_programs_get(targets->programs, db, &req->responder_id, req->version, &program);
    if (e == OK) {
        req->credits_asked = cached_program_compiled(program)->credits_micro;
        e = check_inputs(ctx, req, cached_program_compiled(program)->inputs);
    }
    cached_program_unref(program);
    return e;
}

/* The skill's current version, which may have another id if the skill was removed and installed again. */
static enum err fill_skill(struct db *db, void *ctx, const struct manifest *m, const struct skill *row,
                           struct run_request *req)
{
    struct skill_extra extra = {.slug = row->slug, .label = row->label};
    enum err e =
        m->runner == RUNNER_MODEL ? model_resolve(db, ctx, &req->workspace_id, NULL, &extra.model) : OK;
    if (e == ERR_NOT_FOUND)
        return ERR_INVALID; /* the workspace has no default model */
    req->responder_id = row->id;
    req->version = row->version;
    req->price = row->price;
    req->credits_asked = row->credits;
    req->agentic = row->agentic;
    req->extra = skill_extra_json(ctx, &extra);
    return e;
}

enum err run_target_skill(struct run_targets *targets, struct db *db, void *ctx, const char *slug,
                          struct run_request *req)
{
    struct cached_skill *skill = NULL;
    enum err e = compiled_skills_find(targets->skills, db, &req->workspace_id, slug, &skill);
    if (!req->input.at)
        req->input = span_text("{}");
    if (e == OK)
        e = check_inputs(ctx, req, cached_skill_manifest(skill)->inputs);
    if (e == OK)
        e = fill_skill(db, ctx, cached_skill_manifest(skill), cached_skill_row(skill), req);
    cached_skill_unref(skill);
    return e;
}

enum err run_targets_program(struct run_targets *targets, struct db *db, const id *workflow, int version,
                             const struct program **program_r)
{
    struct cached_program *program;
    enum err e = compiled_programs_get(targets->programs, db, workflow, version, &program);
    if (e != OK)
        return e;
    cached_program_unref(targets->read);
    targets->read = program;
    *program_r = cached_program_compiled(program);
    return OK;
}
