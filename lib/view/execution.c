#include "view/execution.h"

#include <string.h>
#include <talloc.h>

#include "store/event.h"
#include "workflow/adoption.h"
#include "json/json_raw.h"

/* Writes a member of `extra` unchanged, or null if it is missing. */
static void write_extra_member(struct json_write *w, const struct execution *exec, const char *name,
                               const char *as)
{
    const char *at = NULL;
    size_t size = 0;
    json_write_key(w, as);
    if (exec->extra && json_raw_member(exec->extra, strlen(exec->extra), name, &at, &size))
        json_write_raw(w, at, size);
    else
        json_write_null(w);
}

static void write_detail(struct json_write *w, const struct execution *exec)
{
    bool is_skill = exec->kind == KIND_SKILL;
    json_write_key(w, "detail");
    json_write_open(w, '{');
    json_write_text(w, "type", is_skill ? "skill" : "workflow");
    json_write_int(w, "version", exec->version);
    json_write_text(w, "source", source_name(exec->source));
    if (is_skill) {
        json_write_text(w, "slug", exec->responder_name);
        write_extra_member(w, exec, "skill_version", "skill_version");
        write_extra_member(w, exec, "model", "model");
        write_extra_member(w, exec, "file_source_ids", "file_source_ids");
    }
    if (exec->has_total)
        json_write_credits(w, "total_credits_used", exec->total_credits);
    if (exec->has_payload) {
        json_write_json(w, "input", exec->input);
        json_write_json(w, "output", exec->output);
    }
    json_write_close(w, '}');
}

static void write_times(struct json_write *w, const struct execution *exec)
{
    int64_t created_ms = id_ms(&exec->id);
    int64_t started_ms = exec->started_ms ? exec->started_ms : created_ms;
    json_write_time(w, "createdAt", created_ms, true);
    json_write_time(w, "created_at", created_ms, false);
    json_write_time(w, "updatedAt", exec->updated_ms, true);
    json_write_time(w, "startedAt", started_ms, true);
    json_write_time(w, "started_at", started_ms, false);
    json_write_time(w, "endedAt", exec->ended_ms, true);
    json_write_time(w, "completed_at", exec->ended_ms, false);
    json_write_time(w, "start_at", exec->start_at_ms, false);
    json_write_time(w, "expires_at", exec->expires_at_ms, false);
}

/* The step as it is shown. A run that ended without its executor (stopped, or lost too often) leaves the row
 * of its last step as running: the step has ended with the run. A stop does not write it, because it stops
 * trees of any size in one statement for each slice, and rows of steps are written by executors only. */
static struct execution_step shown_step(const struct execution *exec, const struct execution_step *s)
{
    struct execution_step shown = *s;
    if (s->status != STEP_STATUS_RUNNING || !state_is_terminal(exec->state))
        return shown;
    shown.status = STEP_STATUS_FAILED;
    shown.completed_ms = exec->ended_ms;
    if (!shown.error && !exec->purged_ms)
        shown.error = exec->state == STATE_STOPPED ? "the run was stopped"
                      : exec->error                ? exec->error
                                                   : reason_name(exec->reason);
    return shown;
}

/* `adopted_from`: the execution that has executed the step, or NULL. */
static void write_step(struct json_write *w, int index, const struct program_step *of,
                       const struct execution_step *s, const id *adopted_from)
{
    json_write_open(w, '{');
    json_write_int(w, "index", index);
    json_write_text(w, "name", of ? of->name : NULL);
    json_write_text(w, "type", of ? of->type_name : NULL);
    json_write_text(w, "status", step_status_name(s->status));
    json_write_json(w, "result", s->result);
    json_write_text(w, "error", s->error);
    json_write_int(w, "attempts", s->tries);
    json_write_id(w, "adopted_from", adopted_from);
    json_write_time(w, "started_at", s->started_ms, false);
    json_write_time(w, "completed_at", s->completed_ms, false);
    json_write_close(w, '}');
}

/* Writes every step of the program, including those that have not begun. */
static void write_program_steps(struct json_write *w, const struct execution *exec,
                                const struct view_steps *v)
{
    static const struct execution_step pending = {.status = STEP_STATUS_PENDING};
    size_t known = v->program ? v->program->step_count : 0;
    size_t all = v->count > 0 && (size_t)v->list[v->count - 1].step >= known
                     ? (size_t)v->list[v->count - 1].step + 1
                     : known;
    const struct execution_step *s = v->list;
    const struct execution_step *end = v->list + v->count;
    void *scratch = talloc_new(NULL);
    struct adoption adoption;
    const id nobody = {{0}};
    size_t adopted = adoption_read(scratch, exec->extra, &adoption) ? adoption.n : 0;
    json_write_key(w, "steps");
    json_write_open(w, '[');
    for (size_t i = 0; i < all; i++) {
        bool begun = s < end && (size_t)s->step == i;
        struct execution_step shown = begun ? shown_step(exec, s) : pending;
        write_step(w, (int)i, i < known ? &v->program->steps[i] : NULL, &shown,
                   i < adopted ? &adoption.of : &nobody);
        s += begun;
    }
    json_write_close(w, ']');
    talloc_free(scratch);
}

static void write_members(struct json_write *w, const struct execution *exec)
{
    bool is_workflow = exec->kind == KIND_WORKFLOW;
    char trace[TRACE_ID_TEXT];
    json_write_id(w, "id", &exec->id);
    json_write_id(w, "execution_id", &exec->id);
    json_write_id(w, "workspaceId", &exec->workspace_id);
    json_write_text(w, "status", state_status(exec->state));
    json_write_text(w, "state", state_name(exec->state));
    json_write_id(w, "responderId", &exec->responder_id);
    json_write_text(w, "workflow_id", is_workflow ? exec->responder_id.text : NULL);
    json_write_text(w, "workflow_name", is_workflow ? exec->responder_name : NULL);
    json_write_id(w, "parentId", &exec->parent_id);
    write_times(w, exec);
    json_write_flag(w, "isAgentic", exec->agentic);
    json_write_flag(w, "isPurged", exec->purged_ms != 0);
    json_write_credits(w, "creditsUsed", exec->cost - exec->refunded);
    json_write_text(w, "error", exec->error);
    json_write_text(w, "failure_reason", reason_name(exec->reason));
    json_write_id(w, "retry_of", &exec->retry_of);
    trace_id_text(&exec->trace, trace);
    json_write_text(w, "trace_id", trace);
    json_write_json(w, "tags", exec->tags ? exec->tags : "[]");
    json_write_json(w, "metadata", exec->metadata ? exec->metadata : "{}");
    write_detail(w, exec);
}

/* True if the run was started with files: only then can one be missing. */
static bool names_files(const struct execution *exec)
{
    const char *at;
    size_t size;
    return exec->extra && json_raw_member(exec->extra, strlen(exec->extra), "file_source_ids", &at, &size) &&
           size > 0 && *at == '[';
}

enum err view_read_results(struct db *db, void *ctx, const struct execution *exec, struct view_steps *v)
{
    struct artifact *list = NULL;
    struct execution_log log = {0};
    if (exec->kind != KIND_SKILL)
        return OK;
    enum err e = artifact_list(db, ctx, &exec->id, &list, &v->artifacts_n);
    if (e == OK)
        e = execution_log(db, ctx, &exec->workspace_id, &exec->id, &log);
    if (e == OK && names_files(exec) && !exec->purged_ms)
        e = event_newest_of_type(db, ctx, &exec->id, EVENT_FILES_MISSING, &v->files_missing);
    v->artifacts = list;
    v->has_log = !log.is_purged && (log.has_log || !state_is_terminal(exec->state));
    v->log_size = log.has_log ? log.log.size : -1;
    return e;
}

void view_artifacts(struct json_write *w, const id *execution, const struct artifact *list, size_t n)
{
    json_write_key(w, "artifacts");
    json_write_open(w, '[');
    for (size_t i = 0; i < n; i++) {
        const struct artifact *a = &list[i];
        char *url = talloc_asprintf(w, "/api/v1/executions/%s/artifacts/%s", execution->text, a->id.text);
        json_write_open(w, '{');
        json_write_id(w, "artifact_id", &a->id);
        json_write_text(w, "relpath_in_workspace", a->relpath);
        json_write_text(w, "document_type", a->media_type);
        json_write_text(w, "download_url", url);
        json_write_int(w, "size_bytes", a->blob.size);
        json_write_close(w, '}');
        talloc_free(url);
    }
    json_write_close(w, ']');
}

/* {url, size_bytes}, or null: the run has no log. */
static void write_log(struct json_write *w, const id *execution, const struct view_steps *v)
{
    json_write_key(w, "logs");
    if (!v->has_log) {
        json_write_null(w);
        return;
    }
    char *url = talloc_asprintf(w, "/api/v1/executions/%s/logs", execution->text);
    json_write_open(w, '{');
    json_write_text(w, "url", url);
    json_write_key(w, "size_bytes");
    if (v->log_size < 0)
        json_write_null(w);
    else
        json_write_number(w, v->log_size);
    json_write_close(w, '}');
    talloc_free(url);
}

static void write_retries(struct json_write *w, const struct execution *exec)
{
    json_write_key(w, "retried_by");
    json_write_open(w, '[');
    for (size_t i = 0; i < exec->retries_n; i++)
        json_write_bytes(w, exec->retries[i].text, ID_LENGTH);
    json_write_close(w, ']');
}

void view_execution(struct json_write *w, const struct execution *exec, const struct view_steps *steps)
{
    json_write_open(w, '{');
    write_members(w, exec);
    if (steps && !steps->hidden)
        write_program_steps(w, exec, steps);
    if (steps && exec->kind == KIND_SKILL) {
        view_artifacts(w, &exec->id, steps->artifacts, steps->artifacts_n);
        write_log(w, &exec->id, steps);
        json_write_json(w, "files_missing", steps->files_missing);
    }
    if (exec->has_payload)
        write_retries(w, exec);
    json_write_close(w, '}');
}

void view_execution_tree(struct json_write *w, const struct execution_tree_node *nodes, size_t i)
{
    const struct execution_tree_node *node = &nodes[i];
    json_write_open(w, '{');
    write_members(w, &node->execution);
    json_write_key(w, "children");
    json_write_open(w, '[');
    for (size_t k = 0; k < node->count; k++)
        view_execution_tree(w, nodes, node->first + k); /* recursion is limited by TREE_DEPTH_MAX */
    json_write_close(w, ']');
    json_write_flag(w, "children_truncated", node->truncated);
    json_write_close(w, '}');
}
