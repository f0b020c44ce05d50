#include "executor/run/active_run.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"

#define LOG_FLOW(f) (f)->run.id.text, (f)->run.workspace_id.text, (f)->run.responder_id.text, (f)->run.attempt
#define FLOW_FIELDS "execution=%s workspace=%s responder=%s attempt=%d"

static int64_t age_ms(const struct flow *f)
{
    return clock_boot_ms() - f->began_ms;
}

/* --- slots --- */

static void serve_slot_queue(struct executor *x)
{
    if (x->serving) /* who goes on may give its slot back at once: that is the outer loop's turn */
        return;
    x->serving = true;
    while (x->slot_first && writer_take_slot(x->writer)) {
        struct flow *f = x->slot_first;
        x->slot_first = f->slot_next;
        if (!x->slot_first)
            x->slot_last = &x->slot_first;
        f->in_slot_queue = false;
        f->has_slot = true;
        x->without_slot--;
        f->kind->go_on(f);
    }
    x->serving = false;
}

static void leave_slot_queue(struct flow *f)
{
    struct executor *x = f->x;
    struct flow **p = &x->slot_first;
    while (*p && *p != f)
        p = &(*p)->slot_next;
    if (!*p)
        return;
    *p = f->slot_next;
    if (!f->slot_next)
        x->slot_last = p;
    f->in_slot_queue = false;
}

bool flow_take_slot(struct flow *f)
{
    struct executor *x = f->x;
    if (f->has_slot)
        return true;
    if (!x->slot_first && writer_take_slot(x->writer)) {
        f->has_slot = true;
        x->without_slot--;
        return true;
    }
    if (!f->in_slot_queue) {
        f->in_slot_queue = true;
        f->slot_next = NULL;
        *x->slot_last = f;
        x->slot_last = &f->slot_next;
    }
    return false;
}

void flow_rest(struct flow *f)
{
    struct executor *x = f->x;
    if (!f->has_slot || f->claim || f->open || f->under_way || timer_is_set(&f->go_on) ||
        !f->kind->may_rest(f))
        return;
    if (x->without_slot >= x->config->executor.max_waiting)
        return;
    flow_leave_slot(f);
    flow_return_slot(x);
}

void flow_leave_slot(struct flow *f)
{
    f->has_slot = false;
    f->x->without_slot++;
}

void flow_return_slot(struct executor *x)
{
    writer_add_slots(x->writer, 1);
    serve_slot_queue(x);
}

/* --- the end --- */

/* What a run has used and left is told though it was stopped meanwhile (usage_put_late). */
static void leave_open(struct flow *f)
{
    struct commit *c = f->open;
    f->open = NULL;
    if (!c || !c->usage || f->claim || !executor_has_time(f->x)) {
        talloc_free(c);
        return;
    }
    c->job.arg = NULL;
    writer_submit(f->x->writer, &c->job);
}

static void drop(struct flow *f)
{
    struct executor *x = f->x;
    f->ending = true;
    f->kind->drop(f);
    timer_clear(x->timers, &f->deadline);
    timer_clear(x->timers, &f->go_on);
    if (f->in_slot_queue)
        leave_slot_queue(f);
    if (f->under_way)
        f->under_way->job.arg = NULL; /* it is written, and nobody hears of it */
    if (f->claim) {
        f->claim->flow = NULL;
        f->claim->dropped = true;
    }
    leave_open(f);
    id_table_remove(x->flows, &f->run.id);
    programs_unref(f->cached);
    skills_unref(f->cached_skill);
    bool had_slot = f->has_slot;
    talloc_free(f);
    if (had_slot)
        writer_add_slots(x->writer, 1);
    else
        x->without_slot--;
    serve_slot_queue(x);
    x->changed(x);
}

static void log_end(const struct flow *f, const struct commit *c)
{
    switch (c->move.move) {
    case MOVE_SUCCEED:
        log_info("run.succeeded", FLOW_FIELDS " duration_ms=%lld", LOG_FLOW(f), (long long)age_ms(f));
        break;
    case MOVE_FAIL:
        log_info("run.failed", FLOW_FIELDS " duration_ms=%lld reason=%s", LOG_FLOW(f), (long long)age_ms(f),
                 reason_name(c->move.reason));
        break;
    default:
        log_info("run.handed_back", FLOW_FIELDS " duration_ms=%lld", LOG_FLOW(f), (long long)age_ms(f));
    }
}

void flow_cancel(struct flow *f, const char *why)
{
    log_info("run.cancelled", FLOW_FIELDS " duration_ms=%lld why=\"%s\"", LOG_FLOW(f), (long long)age_ms(f),
             why);
    drop(f);
}

/* --- commits --- */

static void on_commit(struct job *job)
{
    struct commit *c = (struct commit *)job;
    struct flow *f = job->arg;
    if (!f) {
        talloc_free(c);
        return;
    }
    f->under_way = NULL;
    if (c->fenced) {
        flow_cancel(f, "stopped, or taken over");
    } else if (job->e != OK && c->has_move) {
        log_error("run.unwritable", FLOW_FIELDS " error=%s", LOG_FLOW(f), err_name(job->e));
        drop(f); /* the next beat finds its row without a run, and hands it back */
    } else if (job->e != OK) {
        log_error("run.unwritable", FLOW_FIELDS " error=%s", LOG_FLOW(f), err_name(job->e));
        talloc_free(f->open);
        f->open = NULL;
        flow_fail(f, REASON_INTERNAL, "what the run did could not be stored");
    } else if (c->has_move) {
        log_end(f, c);
        drop(f);
    } else {
        if (!f->ending)
            f->kind->written(f, c);
        flow_submit(f);
    }
    talloc_free(c);
}

struct commit *flow_open(struct flow *f)
{
    if (!f->open) {
        f->open = commit_new(&f->run.id, &f->run.workspace_id, f->run.attempt);
        f->open->job.done = on_commit;
        f->open->job.arg = f;
    }
    return f->open;
}

void flow_submit(struct flow *f)
{
    if (!f->open || f->under_way || (f->claim && !f->claim->may_commit)) {
        flow_rest(f);
        return;
    }
    f->under_way = f->open;
    f->open = NULL;
    if (f->claim)
        f->claim->first = f->under_way;
    else
        writer_submit(f->x->writer, &f->under_way->job);
}

static void end(struct flow *f, const struct run_move *move)
{
    f->ending = true;
    timer_clear(f->x->timers, &f->deadline);
    timer_clear(f->x->timers, &f->go_on);
    flow_open(f)->tree = f->tree && move->move != MOVE_HAND_BACK; /* a run that ends stops its descendants */
    commit_move(f->open, move);
    flow_submit(f);
}

void flow_succeed(struct flow *f, const char *output)
{
    struct run_move move = {.move = MOVE_SUCCEED, .at_ms = clock_wall_ms(), .output = output};
    end(f, &move);
}

void flow_fail(struct flow *f, enum failure_reason reason, const char *error)
{
    struct run_move move = {.move = MOVE_FAIL, .at_ms = clock_wall_ms(), .reason = reason, .error = error};
    f->ending = true;
    f->kind->break_off(f, error);
    f->kind->drop(f);
    end(f, &move);
}

void flow_hand_back(struct flow *f)
{
    struct run_move move = {.move = MOVE_HAND_BACK, .at_ms = clock_wall_ms()};
    f->ending = true;
    f->kind->drop(f);
    end(f, &move);
}

void flow_hand_back_idle(struct executor *x, bool all)
{
    struct flow *f;
    size_t place = 0;
    while ((f = id_table_next(x->flows, &place))) {
        if (!f->ending && (all || !f->kind->in_the_middle(f)))
            flow_hand_back(f);
    }
}

void flow_cancel_all(struct executor *x, const char *why)
{
    struct flow *f;
    size_t place = 0;
    while ((f = id_table_next(x->flows, &place)))
        flow_cancel(f, why);
}

/* --- the beginning --- */

static void on_deadline(void *arg)
{
    struct flow *f = arg;
    f->kind->deadline(f);
}

static void on_go_on(void *arg)
{
    struct flow *f = arg;
    f->kind->go_on(f);
}

static const struct stored_step *keep_stored(struct flow *f, const struct claimed *c)
{
    struct stored_step *kept = talloc_array(f, struct stored_step, c->steps_n);
    for (size_t i = 0; i < c->steps_n; i++) {
        kept[i] = c->steps[i];
        kept[i].result = kept[i].result ? talloc_strdup(kept, kept[i].result) : NULL;
        kept[i].error = kept[i].error ? talloc_strdup(kept, kept[i].error) : NULL;
    }
    return kept;
}

static json_object *parse(void *ctx, const char *text, json_object *otherwise)
{
    json_object *value;
    const char *why;
    if (text && json_parse(ctx, text, strlen(text), TEMPLATE_DEPTH_MAX, &value, &why) == OK) {
        json_object_put(otherwise);
        return value;
    }
    return otherwise ? json_own(ctx, otherwise) : NULL;
}

static json_object *id_or_null(const id *i)
{
    return id_is_set(i) ? json_object_new_string(i->text) : NULL;
}

static json_object *execution_scope(struct flow *f, const struct claimed *c)
{
    char at[CLOCK_TEXT_SIZE];
    json_object *e = json_own(f, json_object_new_object());
    json_object_object_add(e, "id", id_or_null(&c->run.id));
    json_object_object_add(e, "workflow_id", id_or_null(&c->run.responder_id));
    json_object_object_add(e, "workspace_id", id_or_null(&c->run.workspace_id));
    json_object_object_add(e, "parent_id", id_or_null(&c->run.parent_id));
    json_object_object_add(e, "root_id", id_or_null(&c->run.root_id));
    json_object_object_add(e, "created_at", json_object_new_string(clock_text_offset(id_ms(&c->run.id), at)));
    json_object_object_add(e, "tags", json_object_get(parse(f, c->tags, json_object_new_array())));
    json_object_object_add(e, "metadata", json_object_get(parse(f, c->metadata, json_object_new_object())));
    return e;
}

static const struct flow_kind *kind_of(const struct executor *x, const struct claimed *c)
{
    if (c->run.kind != KIND_SKILL)
        return x->kinds->workflow;
    return c->skill && skills_manifest(c->skill)->runner == RUNNER_MODEL ? x->kinds->model : x->kinds->skill;
}

static struct flow *flow_new(struct executor *x, struct claimed *c)
{
    struct flow *f = talloc_zero(NULL, struct flow);
    f->x = x;
    f->run = c->run;
    f->principal_id = c->principal_id;
    f->cached = c->program ? programs_ref(c->program) : NULL;
    f->program = c->program ? programs_of(c->program) : NULL;
    f->kind = kind_of(x, c);
    f->cached_skill = c->skill ? skills_ref(c->skill) : NULL;
    f->had_effects = c->had_effects;
    f->tree = c->run.attempt > 0; /* an earlier attempt may have left children behind */
    if (c->run.kind == KIND_SKILL)
        f->input = c->input ? talloc_strdup(f, c->input) : "{}";
    f->extra = c->extra ? talloc_strdup(f, c->extra) : NULL;
    f->inputs = parse(f, c->input, json_object_new_object());
    f->steps = json_own(f, json_object_new_object());
    f->execution = execution_scope(f, c);
    f->stored = keep_stored(f, c);
    f->stored_n = c->steps_n;
    f->has_slot = true;
    f->deadline = (struct timer){.fire = on_deadline, .arg = f};
    f->go_on = (struct timer){.fire = on_go_on, .arg = f};
    f->began_ms = clock_boot_ms();
    id_table_put(x->flows, &f->run.id, f);
    return f;
}

static void begin(struct flow *f)
{
    struct executor *x = f->x;
    /* The one look at wall time: from here on it is CLOCK_BOOTTIME that counts. */
    int64_t now_ms = clock_wall_ms();
    log_info("run.claimed", FLOW_FIELDS " version=%d waited_ms=%lld", LOG_FLOW(f), f->run.version,
             (long long)(now_ms - id_ms(&f->run.id)));
    if (x->stopping) {
        flow_hand_back(f);
    } else if (!f->program && !f->cached_skill) {
        flow_fail(f, REASON_INTERNAL,
                  f->run.kind == KIND_WORKFLOW ? "the workflow's program is not usable"
                                               : "the skill's manifest is not usable");
    } else if (f->run.deadline_ms <= now_ms) {
        flow_fail(f, REASON_TIMEOUT, "the run took longer than it may");
    } else {
        timer_set(x->timers, &f->deadline, f->began_ms + f->run.deadline_ms - now_ms);
        f->kind->begin(f);
    }
}

void flow_begin_claim(struct executor *x, struct claimed *c)
{
    if (!kind_of(x, c)->begins_with_claim)
        return;
    c->flow = flow_new(x, c);
    c->flow->claim = c;
    c->may_commit = true;
    begin(c->flow);
    c->may_commit = false;
}

/* What has become of the flow, its first commit and its slot where the claim is not written. */
static void undo_claim(struct executor *x, struct claimed *c)
{
    if (c->flow)
        flow_cancel(c->flow, c->fenced ? "stopped, or taken over" : "its claim could not be written");
    else if (!c->dropped)
        writer_add_slots(x->writer, 1);
    talloc_free(c->first);
}

void flow_end_claim(struct executor *x, struct claimed *c, enum err e)
{
    struct flow *f = c->flow;
    if (e != OK || c->fenced) {
        undo_claim(x, c);
        return;
    }
    if (f)
        f->claim = NULL;
    if (c->first && (c->first_apart && f))
        writer_submit(x->writer, &c->first->job);
    else if (c->first)
        c->first->job.done(&c->first->job);
    else if (f)
        flow_submit(f);
    else if (!c->dropped && !x->fenced)
        begin(flow_new(x, c));
}
