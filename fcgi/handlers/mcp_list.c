/* tools/list of /mcp: the exposed skills by slug, then the exposed workflows by the name of the tool, after
 * the server's own tools. The cursor is the name of the last tool of the page. */
#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/scopes.h"
#include "fcgi/cache/skill_cache.h"
#include "fcgi/handlers/dated_prices.h"
#include "fcgi/handlers/mcp_tools.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/slow.h"
#include "mcp/tool_name.h"
#include "run/price.h"
#include "store/skill.h"
#include "store/workflow.h"
#include "json/json.h"
#include "json/json_raw.h"

enum {
    /* rows of a page */
    PAGE_MAX = 20,
    /* bytes after which a page ends */
    PAGE_BYTES_MAX = 256 * 1024,
    /* bytes of manifests and programs after which a page ends; one of them may have 1 MiB */
    PAGE_READ_MAX = 1024 * 1024,
    /* rows of one read: a page reads at most so many MiB beyond PAGE_READ_MAX */
    READ_MAX = 5
};

struct tool {
    const char *name, *title, *description;
    id responder;
    int version;
    /* JSON; absent: any */
    struct span inputs, outputs;
    int64_t price;
    /* may reach other systems */
    bool is_open;
};

struct tool_page {
    struct json_write *w;
    const char *last;
    size_t count;
    /* bytes of the manifests and programs of its tools */
    size_t read;
    bool has_more;
    /* The workspace's price; -1: not set. */
    int64_t usual;
    struct dated_prices dated;
};

/* --- schemas --- */

/* Writes a schema of inputs, which are objects: clients require it to say so. */
static void write_input_schema(struct request *r, struct json_write *w, struct span schema)
{
    static const char any[] = "{\"type\":\"object\"}";
    const char *type, *why;
    size_t n;
    json_object *parsed;
    json_write_key(w, "inputSchema");
    if (schema.at && json_raw_member(schema.at, schema.size, "type", &type, &n) && n == 8 &&
        memcmp(type, "\"object\"", n) == 0) {
        json_write_raw(w, schema.at, schema.size);
    } else if (schema.at &&
               json_parse_tolerant(r, schema.at, schema.size, JSON_DEPTH_MAX, &parsed, &why) == OK &&
               json_object_is_type(parsed, json_type_object)) {
        json_object_object_add(parsed, "type", json_object_new_string("object"));
        const char *text = json_text(parsed, &n);
        json_write_raw(w, text, n);
    } else {
        json_write_raw(w, any, sizeof any - 1);
    }
}

static void write_annotations(struct json_write *w, const char *title, bool reads_only, bool is_idempotent,
                              bool is_open)
{
    json_write_key(w, "annotations");
    json_write_open(w, '{');
    json_write_text(w, "title", title);
    json_write_flag(w, "readOnlyHint", reads_only);
    json_write_flag(w, "destructiveHint", !reads_only);
    json_write_flag(w, "idempotentHint", is_idempotent);
    json_write_flag(w, "openWorldHint", is_open);
    json_write_close(w, '}');
}

static void write_tool(struct request *r, struct tool_page *page, const struct tool *t)
{
    struct json_write *w = page->w;
    char price[CREDITS_TEXT_SIZE];
    json_write_open(w, '{');
    json_write_text(w, "name", t->name);
    json_write_text(w, "title", t->title);
    json_write_text(w, "description",
                    talloc_asprintf(r, "%s\n\nPrice: %s credit%s a run.",
                                    *t->description ? t->description : t->title,
                                    credits_text(t->price, price), t->price == CREDIT_MICRO ? "" : "s"));
    write_input_schema(r, w, t->inputs);
    json_write_key(w, "outputSchema");
    mcp_write_output_schema(w, t->outputs.at, t->outputs.size, &t->responder, t->version);
    write_annotations(w, t->title, false, false, t->is_open);
    json_write_close(w, '}');
    page->last = t->name;
    page->count++;
}

static void write_own_tool(struct json_write *w, const char *name, const char *title, const char *description,
                           bool reads_only)
{
    static const id none;
    json_write_open(w, '{');
    json_write_text(w, "name", name);
    json_write_text(w, "title", title);
    json_write_text(w, "description", description);
    json_write_json(
        w, "inputSchema",
        "{\"type\":\"object\",\"required\":[\"execution_id\"],\"additionalProperties\":false,\"properties\":"
        "{\"execution_id\":{\"type\":\"string\",\"format\":\"uuid\"}}}");
    json_write_key(w, "outputSchema");
    mcp_write_output_schema(w, NULL, 0, &none, 0);
    write_annotations(w, title, reads_only, true, false);
    json_write_close(w, '}');
}

/* --- the page --- */

static bool is_full(const struct tool_page *page)
{
    size_t size;
    (void)json_write_result(page->w, &size);
    return page->count >= PAGE_MAX || size > PAGE_BYTES_MAX || page->read > PAGE_READ_MAX;
}

static struct span raw_member(const char *json, size_t size, const char *name)
{
    struct span s = {0};
    if (json_raw_member(json, size, name, &s.at, &s.size))
        return s;
    return (struct span){0};
}

static int64_t tool_price(const struct tool_page *page, const id *responder, bool agentic, int64_t own,
                          int64_t asked)
{
    const struct run_request req = {.responder_id = *responder, .price = own, .credits_asked = asked};
    return run_listed_price(&req, page->usual, dated_prices_choose(&page->dated, responder, agentic));
}

/* The rows of the next read; one, if it is only to tell whether the page is the last. */
static int64_t rows_to_read(const struct tool_page *page)
{
    return is_full(page) ? 1 : READ_MAX;
}

/* Counts the bytes of a row's manifest or program before they are looked at. ERR_RETRY: the request has no
 * turn for so many, and the reply is set. */
static enum err count_read(struct request *r, struct tool_page *page, size_t size)
{
    page->read += size;
    return page->read <= SLOW_JSON_BYTES || slow_begin(r) ? OK : ERR_RETRY;
}

static enum err add_skill(struct request *r, struct tool_page *page, const struct skill *s)
{
    const struct manifest *m;
    enum err e = count_read(r, page, s->manifest_size);
    if (e == OK)
        e = skill_cache_manifest(r, s, &m);
    if (e != OK)
        return e;
    struct tool t = {.name = s->slug,
                     .title = m->name,
                     .description = m->description,
                     .responder = s->id,
                     .version = s->version,
                     .inputs = raw_member(s->manifest, s->manifest_size, "inputs"),
                     .outputs = raw_member(s->manifest, s->manifest_size, "outputs"),
                     .price = tool_price(page, &s->id, s->agentic, s->price, s->credits),
                     .is_open = m->network || m->runner == RUNNER_MODEL};
    write_tool(r, page, &t);
    return OK;
}

static enum err add_skills(struct request *r, struct tool_page *page, const char *after)
{
    struct skill *list;
    size_t n = 0;
    int64_t limit;
    enum err e;
    do {
        limit = rows_to_read(page);
        e = skill_list_tools(r->app->db, r, &r->access.workspace_id, after, limit, &list, &n);
        for (size_t i = 0; e == OK && i < n && !(page->has_more = is_full(page)); i++) {
            e = add_skill(r, page, &list[i]);
            after = list[i].slug;
        }
    } while (e == OK && !page->has_more && (int64_t)n == limit);
    return e;
}

static enum err add_workflow(struct request *r, struct tool_page *page, const struct workflow *f)
{
    enum err e = count_read(r, page, f->program_size);
    if (e != OK)
        return e;
    struct tool t = {.name = f->tool,
                     .title = f->name,
                     .description = f->description ? f->description : "",
                     .responder = f->id,
                     .version = f->version,
                     .inputs = raw_member(f->program, f->program_size, "inputs"),
                     .price = tool_price(page, &f->id, false, f->price, f->credits),
                     .is_open = true};
    write_tool(r, page, &t);
    return OK;
}

static enum err add_workflows(struct request *r, struct tool_page *page, const char *after)
{
    struct workflow *list;
    size_t n = 0;
    int64_t limit;
    enum err e;
    do {
        limit = rows_to_read(page);
        e = workflow_list_tools(r->app->db, r, &r->access.workspace_id, after, limit, &list, &n);
        for (size_t i = 0; e == OK && i < n && !(page->has_more = is_full(page)); i++) {
            e = add_workflow(r, page, &list[i]);
            after = list[i].tool;
        }
    } while (e == OK && !page->has_more && (int64_t)n == limit);
    return e;
}

static enum err add_tools(struct request *r, struct tool_page *page, const char *cursor)
{
    static const id no_workflow;
    bool in_workflows = strchr(cursor, '_') != NULL;
    enum err e = workflow_price(r->app->db, r, &r->access.workspace_id, &no_workflow, &page->usual);
    if (e == OK)
        e = dated_prices_read(r, &page->dated);
    if (e == OK && !in_workflows && r->access.scopes & SCOPE_SKILLS_EXECUTE)
        e = add_skills(r, page, cursor);
    if (e == OK && !page->has_more && r->access.scopes & SCOPE_WORKFLOWS_EXECUTE)
        e = add_workflows(r, page, in_workflows ? cursor : "");
    return e;
}

static void write_own_tools(struct json_write *w)
{
    write_own_tool(
        w, MCP_GET_EXECUTION, "Get an execution",
        "Waits for the end of a run that another tool has started, and returns its output. Costs nothing.",
        true);
    write_own_tool(w, MCP_STOP_EXECUTION, "Stop an execution",
                   "Stops a run that another tool has started. Costs nothing; a run that has done nothing "
                   "yet is refunded.",
                   false);
}

int mcp_tools_list(struct request *r, const struct rpc *rpc)
{
    json_object *value = json_get(rpc->params, "cursor");
    const char *cursor = value ? json_plain(value) : "";
    struct tool_page page = {.w = mcp_result_open(r, rpc->id)};
    if (!cursor || (value && !mcp_tool_name_fits(cursor)))
        return rpc_reply_error(r, 200, rpc, MCP_INVALID_PARAMS,
                               "The cursor must be a nextCursor as it was returned.");
    json_write_key(page.w, "tools");
    json_write_open(page.w, '[');
    if (!*cursor)
        write_own_tools(page.w);
    enum err e = add_tools(r, &page, cursor);
    if (e != OK && r->reply.status != 0)
        return reply_rejected(r); /* no turn */
    if (e != OK) {
        reply_err(r, e);
        return rpc_reply_problem(r, rpc);
    }
    json_write_close(page.w, ']');
    if (page.has_more)
        json_write_text(page.w, "nextCursor", page.last);
    mcp_write_uncached(page.w);
    mcp_write_complete(page.w);
    return rpc_reply_result(r, page.w);
}
