#include "retry/retry.h"

#include <string.h>
#include <talloc.h>

#include "skill/extra.h"
#include "store/model.h"
#include "store/skill.h"
#include "workflow/adoption.h"
#include "json/json.h"

/* A retry whose request is in no trace goes on in that of the execution, below its run. What was recorded
 * there is not a reason to record the retry: the caller decides that. */
static void take_trace(struct run_request *req, const struct execution *exec)
{
    if (trace_is_set(&req->trace) || !exec->has_trace)
        return;
    req->trace = trace_below(&exec->trace, &exec->id, (struct trace_key){.span = TRACE_SPAN_RUN});
    req->trace.flags &= TRACE_SAMPLED;
    req->trace_state = span_text(exec->trace_state);
}

void retry_take(struct run_request *req, const struct execution *exec)
{
    req->retry_of = exec->id;
    req->kind = exec->kind;
    req->responder_id = exec->responder_id;
    req->version = exec->version;
    req->agentic = exec->agentic;
    req->input = span_text(exec->input);
    req->tags = span_text(exec->tags);
    req->metadata = span_text(exec->metadata);
    take_trace(req, exec);
    if (exec->kind != KIND_SKILL && exec->extra) /* the time for which a schedule started it */
        req->extra = span_text(exec->extra);
}

/* The object that the text is; NULL if it is none. */
static json_object *parse_extra(void *ctx, const char *text)
{
    json_object *object = NULL;
    const char *why;
    if (!text || json_parse_tolerant(ctx, text, strlen(text), JSON_DEPTH_MAX, &object, &why) != OK)
        return NULL;
    return object;
}

/* --- workflows --- */

struct old_steps {
    struct adopted_step *steps;
    /* By step: it is a for_each. */
    bool *is_loop;
    size_t n;
};

static void mark_end(struct old_steps *old, const struct program *program, const struct execution_step *s)
{
    if (s->step < 0 || (size_t)s->step >= program->main_count)
        return;
    if (s->status == STEP_STATUS_COMPLETED || s->status == STEP_STATUS_SKIPPED)
        old->steps[s->step].end = ADOPTED_ENDED;
    else if (s->status == STEP_STATUS_FAILED && program->steps[s->step].continue_on_error)
        old->steps[s->step].end = ADOPTED_FAILED;
}

/* The steps of the old execution: copies, because its program is valid until the next one is read. */
static enum err read_old_steps(struct db *db, void *ctx, const struct retry_programs *programs,
                               const struct execution *exec, struct old_steps *old_r)
{
    const struct program *program;
    struct execution_step *list;
    size_t n;
    enum err e = programs->read(programs->arg, &exec->responder_id, exec->version, &program);
    if (e == OK)
        e = execution_step_states(db, ctx, &exec->id, &list, &n);
    if (e != OK)
        return e;
    old_r->n = program->main_count;
    old_r->steps = talloc_zero_array(ctx, struct adopted_step, old_r->n);
    old_r->is_loop = talloc_zero_array(ctx, bool, old_r->n);
    for (size_t i = 0; i < old_r->n; i++) {
        old_r->steps[i].name = talloc_strdup(old_r->steps, program->steps[i].name);
        old_r->is_loop[i] = program->steps[i].for_each != NULL;
    }
    for (size_t i = 0; i < n; i++)
        mark_end(old_r, program, &list[i]);
    return OK;
}

/* The time of the schedule that had started the old execution stays in the scope of the retry. */
static void write_extra(void *ctx, const struct execution *exec, const struct adoption *a,
                        struct run_request *req)
{
    json_object *scheduled_for;
    json_object *extra = json_own(ctx, json_object_new_object());
    if (json_object_object_get_ex(parse_extra(ctx, exec->extra), "scheduled_for", &scheduled_for))
        json_object_object_add(extra, "scheduled_for", json_object_get(scheduled_for));
    if (a)
        json_object_object_add(extra, "adopt", adoption_json(a));
    req->extra = (struct span){0};
    if (json_object_object_length(extra) > 0)
        req->extra.at = json_text(extra, &req->extra.size);
}

enum err retry_plan(struct db *db, void *ctx, const struct retry_programs *programs,
                    const struct execution *exec, struct retry_from from, struct run_request *req,
                    const char **why_r)
{
    struct adoption a;
    struct old_steps old;
    const struct program *now;
    *why_r = NULL;
    if (!from.step) {
        write_extra(ctx, exec, NULL, req);
        return OK;
    }
    enum err e = read_old_steps(db, ctx, programs, exec, &old);
    if (e == OK)
        e = programs->read(programs->arg, &req->responder_id, req->version, &now);
    if (e != OK)
        return e;
    *why_r = adoption_plan(ctx, old.steps, old.n, now, from.step, &a);
    if (*why_r)
        return ERR_INVALID;
    a.of = exec->id;
    a.items = req->version == exec->version && !from.other_inputs && strcmp(from.step, "failed") == 0 &&
              a.n < old.n && old.is_loop[a.n];
    write_extra(ctx, exec, &a, req);
    return OK;
}

/* --- skills --- */

static const char **file_source_ids_of(void *ctx, json_object *list, size_t *n_r)
{
    *n_r = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    const char **names = talloc_array(ctx, const char *, *n_r + 1);
    for (size_t i = 0; i < *n_r; i++)
        names[i] = json_object_get_string(json_object_array_get_idx(list, i));
    return names;
}

/* Takes from the old execution what only a skill's run has; the idempotency key is this request's. */
static enum err take_extra(struct db *db, void *ctx, const struct skill *skill, const char *old,
                           struct run_request *req)
{
    json_object *old_extra = parse_extra(ctx, old);
    const char *alias;
    struct skill_extra extra = {
        .slug = skill->slug,
        .label = skill->label,
        .model = json_get_text(old_extra, "model"),
        .idempotency_key = req->idempotency_key,
    };
    extra.file_source_ids =
        file_source_ids_of(ctx, json_get(old_extra, "file_source_ids"), &extra.file_source_ids_n);
    enum err e = extra.model ? model_resolve(db, ctx, &req->workspace_id, extra.model, &alias) : OK;
    req->extra = skill_extra_json(ctx, &extra);
    return e == ERR_NOT_FOUND ? ERR_INVALID : e;
}

enum err retry_take_skill(struct db *db, void *ctx, const struct execution *exec, struct run_request *req)
{
    struct skill original, current;
    enum err e = skill_get_version(db, ctx, &req->workspace_id, &req->responder_id, req->version, &original);
    if (e == OK) /* a removed skill accepts no runs */
        e = skill_get_current(db, ctx, &req->workspace_id, original.slug, &current);
    if (e != OK)
        return e;
    req->credits_asked = original.credits;
    req->price = original.price;
    return take_extra(db, ctx, &original, exec->extra, req);
}
