#include "view/execution.h"

#include <string.h>

#include "json/json_raw.h"

/* A member of `extra` as it stands there; null where there is none. */
static void write_extra(struct json_write *w, const struct execution *x, const char *name, const char *as)
{
    const char *at = NULL;
    size_t size = 0;
    json_write_key(w, as);
    if (x->extra && json_span(x->extra, strlen(x->extra), name, &at, &size))
        json_write_raw(w, at, size);
    else
        json_write_null(w);
}

static void write_detail(struct json_write *w, const struct execution *x)
{
    bool is_skill = x->kind == KIND_SKILL;
    json_write_key(w, "detail");
    json_write_open(w, '{');
    json_write_text(w, "type", is_skill ? "skill" : "workflow");
    json_write_int(w, "version", x->version);
    json_write_text(w, "source", source_name(x->source));
    if (is_skill) {
        json_write_text(w, "slug", x->responder_name);
        write_extra(w, x, "skill_version", "skill_version");
        write_extra(w, x, "model", "model");
        write_extra(w, x, "file_source_ids", "file_source_ids");
    }
    if (x->has_total)
        json_write_credits(w, "total_credits_used", x->total_credits);
    if (x->has_payload) {
        json_write_json(w, "input", x->input);
        json_write_json(w, "output", x->output);
    }
    json_write_close(w, '}');
}

static void write_times(struct json_write *w, const struct execution *x)
{
    int64_t created_ms = id_ms(&x->id);
    int64_t started_ms = x->started_ms ? x->started_ms : created_ms;
    json_write_time(w, "createdAt", created_ms, true);
    json_write_time(w, "created_at", created_ms, false);
    json_write_time(w, "updatedAt", x->updated_ms, true);
    json_write_time(w, "startedAt", started_ms, true);
    json_write_time(w, "started_at", started_ms, false);
    json_write_time(w, "endedAt", x->ended_ms, true);
    json_write_time(w, "completed_at", x->ended_ms, false);
}

static void write_step(struct json_write *w, int index, const struct program_step *of,
                       const struct execution_step *s)
{
    json_write_open(w, '{');
    json_write_int(w, "index", index);
    json_write_text(w, "name", of ? of->name : NULL);
    json_write_text(w, "type", of ? of->type_name : NULL);
    json_write_text(w, "status", step_status_name(s ? s->status : STEP_PENDING));
    json_write_json(w, "result", s ? s->result : NULL);
    json_write_text(w, "error", s ? s->error : NULL);
    json_write_int(w, "attempts", s ? s->tries : 0);
    json_write_time(w, "started_at", s ? s->started_ms : 0, false);
    json_write_time(w, "completed_at", s ? s->completed_ms : 0, false);
    json_write_close(w, '}');
}

/* Every step of the program, also those not begun. */
static void write_steps(struct json_write *w, const struct view_steps *v)
{
    size_t known = v->program ? v->program->step_count : 0;
    size_t all = v->count > 0 && (size_t)v->list[v->count - 1].step >= known
                     ? (size_t)v->list[v->count - 1].step + 1
                     : known;
    const struct execution_step *s = v->list;
    const struct execution_step *end = v->list + v->count;
    json_write_key(w, "steps");
    json_write_open(w, '[');
    for (size_t i = 0; i < all; i++) {
        bool begun = s < end && (size_t)s->step == i;
        write_step(w, (int)i, i < known ? &v->program->steps[i] : NULL, begun ? s : NULL);
        s += begun;
    }
    json_write_close(w, ']');
}

static void write_members(struct json_write *w, const struct execution *x)
{
    bool is_workflow = x->kind == KIND_WORKFLOW;
    json_write_id(w, "id", &x->id);
    json_write_id(w, "execution_id", &x->id);
    json_write_id(w, "workspaceId", &x->workspace_id);
    json_write_text(w, "status", state_status(x->state));
    json_write_text(w, "state", state_name(x->state));
    json_write_id(w, "responderId", &x->responder_id);
    json_write_text(w, "workflow_id", is_workflow ? x->responder_id.text : NULL);
    json_write_text(w, "workflow_name", is_workflow ? x->responder_name : NULL);
    json_write_id(w, "parentId", &x->parent_id);
    write_times(w, x);
    json_write_flag(w, "isAgentic", x->agentic);
    json_write_flag(w, "isPurged", x->purged_ms != 0);
    json_write_credits(w, "creditsUsed", x->cost - x->refunded);
    json_write_text(w, "error", x->error);
    json_write_text(w, "failure_reason", reason_name(x->reason));
    json_write_id(w, "retry_of", &x->retry_of);
    json_write_json(w, "tags", x->tags ? x->tags : "[]");
    json_write_json(w, "metadata", x->metadata ? x->metadata : "{}");
    write_detail(w, x);
}

void view_execution(struct json_write *w, const struct execution *x, const struct view_steps *steps)
{
    json_write_open(w, '{');
    write_members(w, x);
    if (steps)
        write_steps(w, steps);
    json_write_close(w, '}');
}

void view_nesting(struct json_write *w, const struct nesting_node *nodes, size_t i)
{
    const struct nesting_node *node = &nodes[i];
    json_write_open(w, '{');
    write_members(w, &node->execution);
    json_write_key(w, "children");
    json_write_open(w, '[');
    for (size_t k = 0; k < node->count; k++)
        view_nesting(w, nodes, node->first + k); /* as deep as a tree may be */
    json_write_close(w, ']');
    json_write_flag(w, "children_truncated", node->truncated);
    json_write_close(w, '}');
}
