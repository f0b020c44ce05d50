#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "store/workflow.h"
#include "workflow/program_compile.h"
#include "json/json_raw.h"

enum { STATEMENT_S = 10, LIST_MAX = 1000 };

/* Reads a file of at most JSON_BODY_MAX bytes, the limit of the API. */
static bool read_program_file(struct cli *cli, const char *path, struct span *text_r)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *text = talloc_size(cli->ctx, JSON_BODY_MAX + 1);
    size_t size = f ? fread(text, 1, JSON_BODY_MAX + 1, f) : 0;
    bool ok = f && !ferror(f);
    if (f && f != stdin)
        fclose(f);
    if (!ok)
        cli_fail(cli, "%s cannot be read", path);
    else if (size > JSON_BODY_MAX)
        cli_fail(cli, "%s is larger than 1 MiB", path);
    *text_r = (struct span){text, size};
    return ok && size <= JSON_BODY_MAX;
}

static bool fail_document(struct cli *cli, const char *sentence)
{
    cli_fail(cli, "%s", sentence);
    return false;
}

/* Reads an optional text member. False if it is not a string, is longer than `max` bytes, or contains NUL. */
static bool read_text_member(json_object *o, const char *name, size_t max, struct span *text_r)
{
    json_object *value = json_get(o, name);
    if (!value)
        return true;
    *text_r = (struct span){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
    return json_object_is_type(value, json_type_string) && text_r->size <= max &&
           strlen(text_r->at) == text_r->size;
}

/* Returns the file name without its folder and extension. */
static struct span name_of_file(struct cli *cli, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = talloc_strdup(cli->ctx, slash ? slash + 1 : path);
    char *dot = strrchr(name, '.');
    if (dot && dot != name)
        *dot = '\0';
    return span_text(name);
}

/* Reads a document: a program, or {name, description?, program}. *program_r is the program. */
static bool read_document(struct cli *cli, const char *path, struct span text, const char *name,
                          struct workflow_change *c, json_object **program_r)
{
    json_object *o;
    const char *why;
    if (json_parse(cli->ctx, text.at, text.size, JSON_DEPTH_MAX, &o, &why) != OK) {
        cli_fail(cli, "%s: %s", path, why);
        return false;
    }
    c->program = text;
    *program_r = o;
    if (json_get(o, "program")) {
        *program_r = json_get(o, "program");
        json_raw_member(text.at, text.size, "program", &c->program.at, &c->program.size);
        if (!read_text_member(o, "name", WORKFLOW_NAME_MAX * 4, &c->name) ||
            !read_text_member(o, "description", WORKFLOW_DESCRIPTION_MAX, &c->description))
            return fail_document(
                cli,
                "name must be a string of at most 200 characters, description one of at most 16384 bytes");
    }
    if (name)
        c->name = span_text(name);
    else if (!c->name.at)
        c->name = name_of_file(cli, path);
    if (c->name.size == 0 || c->name.size > WORKFLOW_NAME_MAX * 4)
        return fail_document(cli, "the name must have 1 to 200 characters");
    return true;
}

static int fail_problems(struct cli *cli, const struct json_problems *p)
{
    json_object *o = json_object_new_object();
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < p->count; i++) {
        json_object *row = json_object_new_object();
        cli_add_text(row, "pointer", p->list[i].pointer);
        cli_add_text(row, "message", p->list[i].message);
        json_object_array_add(list, row);
    }
    json_object_object_add(o, "problems", list);
    cli_print(cli, o);
    return cli_fail(cli, "the program has %zu error%s; nothing was stored", p->total,
                    p->total == 1 ? "" : "s");
}

static enum err check_program_credits(struct cli *cli, struct workflow_change *c)
{
    int64_t min;
    id workflow = {{0}}; /* a new workflow has no price */
    if (!c->is_new)
        workflow = c->workflow_id;
    if (c->compiled->credits_micro == 0)
        return OK;
    enum err e = workflow_price(cli->db, cli->ctx, &c->workspace_id, &workflow, &min);
    if (e == OK && c->compiled->credits_micro < min)
        json_problems_add(c->problems, "/credits", "must not be less than the price of a run");
    return e == OK && c->problems->total > 0 ? ERR_INVALID : e;
}

/* Also on standard error, so that the id stays alone on standard output. */
static void add_warnings(struct cli *cli, json_object *o, const struct workflow_change *c)
{
    const char **list;
    size_t n;
    json_object *warnings = json_object_new_array();
    workflow_warnings(cli->db, cli->ctx, &c->workspace_id, c->compiled, &list, &n);
    for (size_t i = 0; i < n; i++) {
        json_object_array_add(warnings, json_object_new_string(list[i]));
        fprintf(stderr, "warning: %s\n", list[i]);
    }
    if (n > 0)
        json_object_object_add(o, "warnings", warnings);
    else
        json_object_put(warnings);
}

static int store_workflow(struct cli *cli, struct workflow_change *c, json_object *document)
{
    struct program *program = NULL;
    struct workflow_outcome outcome = {0};
    c->problems = json_problems_new(cli->ctx);
    enum err e = program_compile(cli->ctx, document, NULL, &program, c->problems);
    c->compiled = program;
    c->config = cli->config;
    if (e == OK)
        e = check_program_credits(cli, c);
    if (e == OK)
        e = workflow_put(cli->db, cli->ctx, c, &outcome);
    if (e == ERR_INVALID)
        return fail_problems(cli, c->problems);
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli,
                        c->is_new ? "workspace not found: %s" : "workflow not found in this workspace: %s",
                        c->is_new ? c->workspace_id.text : c->workflow_id.text);
    if (e == ERR_LIMIT)
        return cli_fail(cli, "the workspace has reached its quota \"%s\": %lld",
                        quota_name(outcome.excess.quota), (long long)outcome.excess.limit);
    if (e != OK)
        return cli_fail_err(cli, e, "storing the workflow");
    json_object *o = json_object_new_object();
    cli_add_text(o, "id", c->workflow_id.text);
    cli_add_text(o, "name", c->name.at);
    cli_add_number(o, "version", outcome.version);
    add_warnings(cli, o, c);
    return cli_print_line(cli, o, c->workflow_id.text);
}

int cmd_workflow_put(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL, *name = NULL, *id_text = NULL, *principal = NULL, *path;
    const struct cli_option options[] = {{"workspace", .text_r = &text},
                                         {"name", .text_r = &name},
                                         {"id", .text_r = &id_text},
                                         {"principal", .text_r = &principal},
                                         {0}};
    struct workflow_change c = {.workflow_id = id_new(), .is_new = true, .at_ms = clock_wall_ms()};
    struct span file;
    json_object *document;
    if (!cli_parse(cli, argc, argv, options, &path, 1) ||
        (principal && !cli_id(cli, "--principal", principal, &c.principal_id)))
        return CLI_USAGE;
    c.is_new = id_text == NULL;
    if (!read_program_file(cli, path, &file) || !read_document(cli, path, file, name, &c, &document))
        return CLI_FAILED;
    int code = cli_open_workspace(cli, STATEMENT_S, text, &c.workspace_id);
    if (code == CLI_DONE && id_text)
        code = cli_workflow(cli, &c.workspace_id, id_text, &c.workflow_id);
    if (code != CLI_DONE)
        return code;
    if (!principal)
        c.principal_id = c.workspace_id; /* an operator is not a principal of the workspace: the workspace's
                                            id stands for the operator */
    return store_workflow(cli, &c, document);
}

int cmd_workflow_list(struct cli *cli, int argc, char **argv)
{
    id workspace, after = {{0}};
    int code = cli_begin(cli, argc, argv, NULL, NULL, 0, STATEMENT_S, &workspace);
    if (code != CLI_DONE)
        return code;
    struct workflow *list;
    size_t n;
    enum err e = workflow_list(cli->db, cli->ctx, &workspace, &after, LIST_MAX, &list, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "listing workflows");
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++) {
        json_object *o = json_object_new_object();
        cli_add_text(o, "id", list[i].id.text);
        cli_add_text(o, "name", list[i].name);
        cli_add_number(o, "version", list[i].version);
        json_object_object_add(o, "price_credits", list[i].price < 0 ? NULL : credits_json(list[i].price));
        cli_add_time(o, "updated_at", list[i].updated_ms, true);
        cli_add_time(o, "last_run_at", list[i].last_run_ms, list[i].last_run_ms != 0);
        json_object_array_add(rows, o);
    }
    return cli_print(cli, rows);
}

/* Returns CLI_DONE; on an error it prints a message. */
static int check_workflow_change(struct cli *cli, enum err e, const id *workflow)
{
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "workflow not found in this workspace: %s", workflow->text);
    if (e != OK)
        return cli_fail_err(cli, e, "changing the workflow");
    return CLI_DONE;
}

int cmd_workflow_archive(struct cli *cli, int argc, char **argv)
{
    const char *id_text;
    id workspace, workflow;
    int code = cli_begin(cli, argc, argv, NULL, &id_text, 1, STATEMENT_S, &workspace);
    if (code == CLI_DONE)
        code = cli_workflow(cli, &workspace, id_text, &workflow);
    if (code != CLI_DONE)
        return code;
    enum err e = workflow_archive(cli->db, &workspace, &workflow, clock_wall_ms());
    code = check_workflow_change(cli, e, &workflow);
    if (code != CLI_DONE)
        return code;
    json_object *o = json_object_new_object();
    cli_add_text(o, "id", workflow.text);
    json_object_object_add(o, "archived", json_object_new_boolean(true));
    return cli_print_line(cli, o, "archived");
}

int cmd_workflow_price(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL, *id_text, *credits = NULL;
    const struct cli_option options[] = {
        {"workspace", .text_r = &text}, {"credits", .text_r = &credits, .required = true}, {0}};
    id workspace, workflow;
    int64_t micro = -1;
    if (!cli_parse(cli, argc, argv, options, &id_text, 1) ||
        (strcmp(credits, "default") != 0 && !cli_price(cli, "--credits", credits, &micro)))
        return CLI_USAGE;
    int code = cli_open_workspace(cli, STATEMENT_S, text, &workspace);
    if (code == CLI_DONE)
        code = cli_workflow(cli, &workspace, id_text, &workflow);
    if (code != CLI_DONE)
        return code;
    enum err e = workflow_set_price(cli->db, &workspace, &workflow, micro);
    code = check_workflow_change(cli, e, &workflow);
    if (code != CLI_DONE)
        return code;
    json_object *o = json_object_new_object();
    cli_add_text(o, "id", workflow.text);
    json_object_object_add(o, "price_credits", micro < 0 ? NULL : credits_json(micro));
    return cli_print(cli, o);
}
