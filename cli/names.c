#include "cli/names.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "store/key.h"

/* the queries find one row more, so that the message can tell that there are more */
enum { CANDIDATES_MAX = 10 };

static const char variable[] = "MILLRACE_WORKSPACE_ID";

struct candidates {
    id list[CANDIDATES_MAX + 1];
    size_t n;
};

static enum err add_candidates(struct cli *cli, enum sql_id query, const struct db_value *args, size_t n,
                               struct candidates *c)
{
    struct db_rows *rows;
    enum err e = db_run(cli->db, cli->ctx, query, args, n, &rows);
    for (size_t i = 0; e == OK && i < rows->count && c->n <= CANDIDATES_MAX; i++)
        c->list[c->n++] = db_get_id(rows, i, OPERATOR_FIND_WORKSPACE_ID);
    return e;
}

/* Reports an error of the query, or that the name belongs to none or to several. */
static int choose(struct cli *cli, enum err e, const char *what, const char *text, const struct candidates *c,
                  id *id_r)
{
    if (e != OK)
        return cli_fail_err(cli, e, talloc_asprintf(cli->ctx, "finding the %s", what));
    if (c->n == 0)
        return cli_fail(cli, "%s not found: \"%s\" is neither an id (UUID) nor a name", what, text);
    if (c->n == 1) {
        *id_r = c->list[0];
        return CLI_DONE;
    }
    char *ids = talloc_strdup(cli->ctx, "");
    for (size_t i = 0; i < c->n && i < CANDIDATES_MAX; i++)
        ids = talloc_asprintf_append_buffer(ids, "%s%s", i > 0 ? ", " : "", c->list[i].text);
    return cli_fail(cli, "\"%s\" is the name of more than one %s; use an id: %s%s", text, what, ids,
                    c->n > CANDIDATES_MAX ? ", …" : "");
}

static int find_workspace(struct cli *cli, const char *text, id *workspace_r)
{
    struct db_value name = db_text(text);
    struct candidates c = {.n = 0};
    if (id_parse(text, strlen(text), workspace_r))
        return CLI_DONE;
    enum err e = add_candidates(cli, SQL_OPERATOR_FIND_WORKSPACE, &name, 1, &c);
    return choose(cli, e, "workspace", text, &c, workspace_r);
}

int cli_open_workspace(struct cli *cli, unsigned timeout_s, const char *text, id *workspace_r)
{
    if (!text) {
        text = getenv(variable);
        if (!text || !*text)
            return cli_usage(cli, "missing option --workspace; the variable %s is not set either", variable);
    }
    if (!cli_open(cli, timeout_s))
        return CLI_FAILED;
    return find_workspace(cli, text, workspace_r);
}

int cli_begin(struct cli *cli, int argc, char **argv, const struct cli_option *options, const char **rest_r,
              size_t rest_n, unsigned timeout_s, id *workspace_r)
{
    const char *text = NULL;
    size_t n = 0;
    while (options && options[n].name)
        n++;
    struct cli_option *all = talloc_zero_array(cli->ctx, struct cli_option, n + 2);
    all[0] = (struct cli_option){"workspace", .text_r = &text};
    for (size_t i = 0; i < n; i++)
        all[i + 1] = options[i];
    if (!cli_parse(cli, argc, argv, all, rest_r, rest_n))
        return CLI_USAGE;
    return cli_open_workspace(cli, timeout_s, text, workspace_r);
}

int cli_workspace_filter(struct cli *cli, const char *text, id *workspace_r)
{
    *workspace_r = (id){{0}};
    return text ? find_workspace(cli, text, workspace_r) : CLI_DONE;
}

int cli_workflow(struct cli *cli, const id *workspace, const char *text, id *workflow_r)
{
    struct db_value args[] = {db_text(text), db_id(workspace), db_id(workspace)};
    struct candidates c = {.n = 0};
    if (id_parse(text, strlen(text), workflow_r))
        return CLI_DONE;
    enum err e = add_candidates(cli, SQL_OPERATOR_FIND_WORKFLOW, args, 3, &c);
    return choose(cli, e, "workflow", text, &c, workflow_r);
}

int cli_responder(struct cli *cli, const id *workspace, const char *text, id *responder_r)
{
    struct db_value args[] = {db_text(text), db_id(workspace), db_id(workspace)};
    struct candidates c = {.n = 0};
    if (id_parse(text, strlen(text), responder_r))
        return CLI_DONE;
    enum err e = add_candidates(cli, SQL_OPERATOR_FIND_WORKFLOW, args, 3, &c);
    if (e == OK)
        e = add_candidates(cli, SQL_OPERATOR_FIND_SKILL, args, 3, &c);
    return choose(cli, e, "workflow or skill", text, &c, responder_r);
}

int cli_key(struct cli *cli, const id *workspace, const char *text, id *key_r)
{
    /* a key that names a cell is shown with more characters; a text of this length may also be a key that
     * names none, with characters that are not shown */
    size_t size = strnlen(text, API_KEY_CELL_PREFIX_LENGTH);
    struct db_value args[] = {db_id(workspace), db_bytes(text, size)};
    struct candidates c = {.n = 0};
    if (id_parse(text, strlen(text), key_r))
        return CLI_DONE;
    enum err e = add_candidates(cli, SQL_OPERATOR_FIND_KEY, args, 2, &c);
    if (e == OK && c.n == 0 && size > API_KEY_PREFIX_LENGTH) {
        size = API_KEY_PREFIX_LENGTH;
        args[1] = db_bytes(text, size);
        e = add_candidates(cli, SQL_OPERATOR_FIND_KEY, args, 2, &c);
    }
    if (e == OK && c.n == 0)
        return cli_fail(
            cli,
            "key not found in this workspace: \"%.*s\" is neither an id (UUID) nor the beginning of a key as "
            "`millrace key list` shows it (%d characters; %d if it names a cell)",
            (int)size, text, API_KEY_PREFIX_LENGTH, API_KEY_CELL_PREFIX_LENGTH);
    return choose(cli, e, "key", talloc_strndup(cli->ctx, text, size), &c, key_r);
}

int cli_tenant(struct cli *cli, const char *text, id *tenant_r)
{
    struct db_value name = db_text(text);
    struct candidates c = {.n = 0};
    if (id_parse(text, strlen(text), tenant_r))
        return CLI_DONE;
    enum err e = add_candidates(cli, SQL_OPERATOR_FIND_TENANT, &name, 1, &c);
    return choose(cli, e, "tenant", text, &c, tenant_r);
}
