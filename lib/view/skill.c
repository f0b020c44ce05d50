#include "view/skill.h"

#include <string.h>
#include <talloc.h>

#include "store/model.h"
#include "view/execution.h"
#include "json/json.h"

static void write_usage(struct json_write *w, const struct usage *u)
{
    char cost[USD_TEXT_SIZE];
    json_write_key(w, "resource_usage");
    json_write_open(w, '{');
    json_write_int(w, "input_tokens", u->input_tokens);
    json_write_int(w, "output_tokens", u->output_tokens);
    json_write_text(w, "cost_usd", usd_text(u->cost, cost));
    json_write_key(w, "wallclock_ms");
    if (u->has_wallclock)
        json_write_number(w, u->wallclock_ms);
    else
        json_write_null(w);
    json_write_int(w, "iteration_count", u->iterations);
    json_write_close(w, '}');
}

/* The members that children have, too. */
static void write_head(struct json_write *w, const struct skill_execution *exec)
{
    json_write_id(w, "id", &exec->id);
    json_write_id(w, "tenant_id", &exec->tenant_id);
    json_write_id(w, "space_id", &exec->workspace_id);
    json_write_id(w, "principal_id", &exec->principal_id);
    json_write_text(w, "skill_slug", exec->slug);
    json_write_text(w, "skill_version", exec->label);
    json_write_text(w, "source", source_name(exec->source));
    json_write_text(w, "state", state_name(exec->state));
    json_write_id(w, "parent_execution_id", &exec->parent_id);
    json_write_time(w, "created_at", id_ms(&exec->id), true);
    json_write_time(w, "started_at", exec->started_ms, true);
    json_write_time(w, "finished_at", exec->ended_ms, true);
    json_write_text(w, "failure_reason", reason_name(exec->reason));
    write_usage(w, &exec->usage);
}

static void write_span(struct json_write *w, const char *key, struct span s)
{
    json_write_key(w, key);
    if (s.at)
        json_write_raw(w, s.at, s.size);
    else
        json_write_null(w);
}

static void write_children(struct json_write *w, const struct skill_execution *exec)
{
    json_write_key(w, "sub_executions");
    json_write_open(w, '[');
    for (size_t i = 0; i < exec->children_n; i++) {
        json_write_open(w, '{');
        write_head(w, &exec->children[i]);
        json_write_close(w, '}');
    }
    json_write_close(w, ']');
}

void view_skill_execution(struct json_write *w, const struct skill_execution *exec)
{
    void *scratch = talloc_new(NULL);
    json_object *extra = NULL;
    const char *why;
    if (exec->extra &&
        json_parse_tolerant(scratch, exec->extra, strlen(exec->extra), JSON_DEPTH_MAX, &extra, &why) != OK)
        extra = NULL;
    json_write_open(w, '{');
    write_head(w, exec);
    write_span(w, "inputs", exec->input);
    write_span(w, "outputs", exec->output);
    json_write_text(w, "error", exec->error);
    view_artifacts(w, &exec->id, exec->artifacts, exec->artifacts_n);
    write_children(w, exec);
    json_write_text(w, "chat_thread_id", exec->thread_id);
    json_write_id(w, "chat_message_id", &exec->message_id);
    json_write_text(w, "chat_tool_call_id", exec->tool_call_id);
    json_write_text(w, "workspace_archive_id", NULL); /* working directories of runs are not archived */
    json_write_text(w, "langfuse_trace_id", exec->usage.trace_id);
    json_write_text(w, "idempotency_key", json_get_text(extra, "idempotency_key"));
    json_write_close(w, '}');
    talloc_free(scratch);
}

static void write_versions(struct json_write *w, const struct skill *s, const struct skill_version *versions,
                           size_t n)
{
    json_write_key(w, "versions");
    json_write_open(w, '[');
    for (size_t i = 0; i < n; i++) {
        if (!id_equal(&versions[i].skill_id, &s->id))
            continue;
        json_write_open(w, '{');
        json_write_text(w, "version", versions[i].label);
        json_write_flag(w, "is_current", versions[i].version == s->version);
        json_write_time(w, "created_at", versions[i].created_ms, true);
        json_write_close(w, '}');
    }
    json_write_close(w, ']');
}

void view_skill(struct json_write *w, const struct skill *s, const struct skill_version *versions,
                size_t versions_n, bool whole)
{
    void *scratch = talloc_new(NULL);
    json_object *manifest = NULL;
    const char *why;
    if (json_parse_tolerant(scratch, s->manifest, s->manifest_size, JSON_DEPTH_MAX, &manifest, &why) != OK)
        manifest = NULL;
    json_write_open(w, '{');
    json_write_id(w, "id", &s->id);
    json_write_id(w, "space_id", &s->workspace_id);
    json_write_text(w, "slug", s->slug);
    json_write_text(w, "name", json_get_text(manifest, "name"));
    json_write_text(w, "description", json_get_text(manifest, "description"));
    json_write_text(w, "version", s->label);
    json_write_flag(w, "is_agentic", s->agentic);
    json_write_time(w, "created_at", s->created_ms, true);
    json_write_time(w, "updated_at", s->updated_ms, true);
    write_versions(w, s, versions, versions_n);
    if (whole) {
        json_write_key(w, "manifest");
        json_write_raw(w, s->manifest, s->manifest_size);
    }
    json_write_close(w, '}');
    talloc_free(scratch);
}
