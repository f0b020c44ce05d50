#include "executor/db_thread/child_checks.h"

#include <talloc.h>

#include "executor/cache/programs.h"
#include "executor/cache/skills.h"
#include "workflow/template.h"

struct child_checks {
    struct compute_returns *returns;
};

/* A child in the compute thread, with what it is validated by. */
struct child_check_job {
    struct compute_return compute; /* first */
    /* below the job */
    struct child_job *child;
    /* with a reference */
    struct child_schema by;
};

struct child_checks *child_checks_new(void *ctx, struct compute_thread *compute,
                                      void (*on_checked)(void *arg), void *arg)
{
    struct child_checks *all = talloc_zero(ctx, struct child_checks);
    all->returns = compute_returns_new(NULL, compute, on_checked, arg);
    return all;
}

void child_checks_free(struct child_checks *all)
{
    compute_returns_free(all->returns);
    talloc_free(all);
}

/* --- either thread --- */

/* ERR_LIMIT: the budget does not suffice. */
static void check_inputs(struct child_job *j, const struct child_schema *by, long budget)
{
    struct child_check *check = &j->check;
    struct schema_problems problems = {0};
    struct span text = j->request.input;
    json_object *inputs;
    void *scratch = talloc_new(NULL);
    const char *why = NULL;
    enum err e = json_parse(scratch, text.at, text.size, TEMPLATE_DEPTH_MAX, &inputs, &why);
    if (e == OK && by->schema)
        e = schema_validate_within(scratch, by->schema, inputs, budget, &problems);
    *check = (struct child_check){.responder = by->responder, .version = by->version, .e = e};
    if (e == ERR_LIMIT)
        check->reason = REASON_LIMIT_EXCEEDED;
    if (e != OK && problems.count > 0)
        check->why = talloc_asprintf(j, "the inputs are not valid for the %s: %s %s", by->what,
                                     problems.items[0].pointer, problems.items[0].message);
    else if (e != OK && why)
        check->why = talloc_strdup(j, why);
    talloc_free(scratch);
}

/* --- the compute thread --- */

static int child_check_job_destroy(struct child_check_job *job)
{
    cached_program_unref(job->by.program);
    cached_skill_unref(job->by.skill);
    return 0;
}

static void check_work(struct compute_job *compute)
{
    struct child_check_job *job = (struct child_check_job *)compute;
    check_inputs(job->child, &job->by, SCHEMA_BUDGET_DEFAULT);
}

/* --- the database thread --- */

bool child_check_now(struct child_job *j, const struct child_schema *by)
{
    if (j->request.input.size > COMPUTE_INLINE_MAX)
        return false;
    check_inputs(j, by, CHILD_CHECKS_INLINE);
    if (j->check.e != ERR_LIMIT)
        return true;
    j->check = (struct child_check){0};
    return false;
}

void child_check_submit(struct child_checks *all, struct child_job *j, const struct child_schema *by)
{
    struct child_check_job *job = talloc_zero(NULL, struct child_check_job);
    job->compute.compute = (struct compute_job){.workspace_id = j->request.workspace_id, .work = check_work};
    job->child = talloc_steal(job, j);
    job->by = *by;
    if (by->program)
        cached_program_ref(by->program);
    if (by->skill)
        cached_skill_ref(by->skill);
    talloc_set_destructor(job, child_check_job_destroy);
    compute_returns_submit(all->returns, &job->compute);
}

struct child_job *child_check_take(struct child_checks *all)
{
    struct child_check_job *job = (struct child_check_job *)compute_returns_take(all->returns);
    if (!job)
        return NULL;
    struct child_job *j = talloc_steal(NULL, job->child);
    talloc_free(job);
    return j;
}
