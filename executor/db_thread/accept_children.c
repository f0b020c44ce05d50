#include "executor/db_thread/accept_children.h"

#include <string.h>
#include <talloc.h>

#include "executor/cache/skills.h"
#include "store/model.h"
#include "json/json.h"

static enum err load_version(struct writer_hands *hands, struct child_job *j)
{
    struct db_value args[] = {db_id(&j->request.responder_id), db_id(&j->request.workspace_id)};
    struct db_rows *rows;
    enum err e = db_run(hands->db, j, SQL_EXECUTOR_WORKFLOW, args, 2, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0) {
        j->why = "the workflow does not exist any more";
        return ERR_NOT_FOUND;
    }
    j->request.version = (int)db_int(rows, 0, 0);
    j->request.price = db_cell(rows, 0, 1)->is_null ? -1 : db_int(rows, 0, 1);
    return OK;
}

/* The child that an earlier attempt has started, if any. */
static enum err find_earlier(struct writer_hands *hands, struct child_job *j)
{
    const struct run_request *q = &j->request;
    struct db_value args[] = {db_id(&q->parent.id), db_number(q->parent.step), db_number(q->parent.item),
                              db_number(q->parent.try)};
    struct db_rows *rows;
    enum err e = db_run(hands->db, j, SQL_EXECUTION_CHILD_FIND, args, 4, &rows);
    if (e == OK && rows->count > 0)
        j->answer = (struct run_answer){.verdict = RUN_CHILD_EXISTS, .execution_id = db_get_id(rows, 0, 0)};
    return e;
}

/* By the schema (NULL takes any object) of what is called `what`. */
static enum err judge_inputs(struct child_job *j, const struct schema *schema, const char *what)
{
    struct schema_problems problems = {0};
    json_object *inputs;
    struct span text = j->request.input;
    enum err e = json_parse(j, text.at, text.size, TEMPLATE_DEPTH_MAX, &inputs, &j->why);
    if (e != OK || !schema)
        return e;
    e = schema_validate(j, schema, inputs, &problems);
    if (e != OK && problems.count > 0)
        j->why = talloc_asprintf(j, "the %s does not take these inputs: %s %s", what,
                                 problems.items[0].pointer, problems.items[0].message);
    return e;
}

static enum err prepare_workflow(struct writer_hands *hands, struct programs *programs, struct child_job *j)
{
    struct cached_program *program = NULL;
    enum err e = load_version(hands, j);
    if (e == OK)
        e = programs_get(programs, hands->db, &j->request.responder_id, j->request.version, &program);
    if (e == OK) {
        j->request.credits_asked = programs_of(program)->credits_micro;
        e = judge_inputs(j, programs_of(program)->inputs, "workflow");
    }
    programs_unref(program);
    return e;
}

/* The alias that it will use: the one asked for, or the default where the skill calls a model. */
static enum err choose_model(struct writer_hands *hands, struct child_job *j, const struct manifest *m)
{
    if (!j->extra.model && m->runner != RUNNER_MODEL)
        return OK;
    enum err e = model_resolve(hands->db, j, &j->request.workspace_id, j->extra.model, &j->extra.model);
    if (e == ERR_NOT_FOUND)
        j->why = j->extra.model ? "the model is none of this space" : "the space has no default model";
    return e;
}

static void fill_in(struct child_job *j, const struct skill *row)
{
    struct run_request *q = &j->request;
    struct json_write *w = json_write_new(j);
    q->responder_id = row->id;
    q->version = row->version;
    q->price = row->price;
    q->credits_asked = row->credits;
    q->agentic = row->agentic;
    j->extra.slug = row->slug;
    j->extra.label = row->label;
    view_skill_extra(w, &j->extra);
    q->extra.at = json_write_result(w, &q->extra.size);
}

static enum err prepare_skill(struct writer_hands *hands, struct programs *programs, struct child_job *j)
{
    struct cached_skill *skill = NULL;
    enum err e = skills_find(programs_skills(programs), hands->db, &j->request.workspace_id, j->slug, &skill);
    if (e == ERR_NOT_FOUND)
        j->why = talloc_asprintf(j, "the space has no skill %s", j->slug);
    if (e == OK)
        e = judge_inputs(j, skills_manifest(skill)->inputs, "skill");
    if (e == OK)
        e = choose_model(hands, j, skills_manifest(skill));
    if (e == OK)
        fill_in(j, skills_row(skill));
    skills_unref(skill);
    return e;
}

/* What accept_batch leaves to its callers. Whatever is refused here is refused for good, but ERR_BUSY. */
static enum err prepare(struct writer_hands *hands, struct programs *programs, struct child_job *j)
{
    j->why = NULL;
    j->answer = (struct run_answer){0};
    enum err e = j->resumed ? find_earlier(hands, j) : OK;
    if (e != OK || j->answer.verdict == RUN_CHILD_EXISTS)
        return e;
    e = j->slug ? prepare_skill(hands, programs, j) : prepare_workflow(hands, programs, j);
    if (e != OK && e != ERR_BUSY && !j->why)
        j->why = "it cannot be started";
    return e;
}

static const char *why_not(enum run_verdict verdict)
{
    switch (verdict) {
    case RUN_INSUFFICIENT_CREDITS:
        return "the balance does not cover the run";
    case RUN_TREE_LIMIT:
        return "the tree of runs is too deep or too large";
    case RUN_PARENT_GONE:
        return "the run was taken over";
    default:
        return "it could not be started";
    }
}

bool child_is_known(const struct child_job *j)
{
    enum run_verdict v = j->answer.verdict;
    return v != RUN_UNAVAILABLE && v != RUN_UNCERTAIN && v != RUN_RESPONDER_CHANGED;
}

static bool accept_all(struct writer_hands *hands, struct child_job **jobs, size_t n)
{
    const struct run_request *requests[ACCEPT_BATCH_MAX];
    struct run_answer answers[ACCEPT_BATCH_MAX];
    void *scratch = talloc_new(NULL);
    bool known = true;
    for (size_t i = 0; i < n; i++)
        requests[i] = &jobs[i]->request;
    accept_batch(hands->db, hands->redis, scratch, requests, n, 0, answers);
    for (size_t i = 0; i < n; i++) {
        jobs[i]->answer = answers[i];
        if (answers[i].verdict != RUN_ACCEPTED && answers[i].verdict != RUN_CHILD_EXISTS)
            jobs[i]->why = why_not(answers[i].verdict);
        known = known && child_is_known(jobs[i]);
    }
    talloc_free(scratch);
    return known;
}

bool children_accept(struct writer_hands *hands, struct programs *programs, struct child_job **jobs, size_t n)
{
    struct child_job *good[ACCEPT_BATCH_MAX];
    size_t good_n = 0;
    bool known = true;
    for (size_t i = 0; i < n; i++) {
        enum err e = prepare(hands, programs, jobs[i]);
        if (e == ERR_BUSY)
            jobs[i]->answer.verdict = RUN_UNAVAILABLE;
        known = known && e != ERR_BUSY;
        if (e == OK && jobs[i]->answer.verdict == 0)
            good[good_n++] = jobs[i];
    }
    return (good_n == 0 || accept_all(hands, good, good_n)) && known;
}
