/* millrace operator: people who use the console for all workspaces (lib/session/operator.h). */
#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "base/scopes.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "session/operator.h"

enum { STATEMENT_S = 10, DAYS_MAX = 36500 };
static const int64_t DAY_MS = 86400000;

static json_object *operator_json(struct cli *cli, const struct operator* o)
{
    json_object *row = json_object_new_object();
    cli_add_text(row, "id", o->id.text);
    cli_add_text(row, "name", o->name);
    cli_add_text(row, "role", role_name(o->role));
    cli_add_text(row, "prefix", o->prefix);
    cli_add_time(row, "created_at", o->created_ms, true);
    cli_add_time(row, "expires_at", o->expires_ms, o->expires_ms != 0);
    cli_add_time(row, "revoked_at", o->revoked_ms, o->revoked_ms != 0);
    cli_add_time(row, "last_used_at", o->last_used_ms, o->last_used_ms != 0);
    return row;
}

/* A name stands in the audit log and in lists: one line without blanks at its ends. */
static bool is_name(const char *name)
{
    size_t size = strlen(name);
    bool ok = size > 0 && size <= OPERATOR_NAME_MAX && utf8_is_valid(name, size) && name[0] != ' ' &&
              name[size - 1] != ' ';
    for (size_t i = 0; ok && i < size; i++)
        ok = !iscntrl((unsigned char)name[i]);
    return ok;
}

int cmd_operator_create(struct cli *cli, int argc, char **argv)
{
    const char *role = NULL, *days_text = NULL;
    struct operator o = {.id = id_new()};
    const struct cli_option options[] = {{"name", .text_r = &o.name, .required = true},
                                         {"role", .text_r = &role, .required = true},
                                         {"expires-in-days", .text_r = &days_text},
                                         {0}};
    char token[OPERATOR_TOKEN_SIZE];
    int64_t days = 0;
    if (!cli_parse(cli, argc, argv, options, NULL, 0) ||
        (days_text && !cli_number(cli, "--expires-in-days", days_text, 1, DAYS_MAX, &days)))
        return CLI_USAGE;
    if (!is_name(o.name))
        return cli_usage(cli, "--name must be 1 to %d bytes of printable text", OPERATOR_NAME_MAX);
    if (!role_parse(role, &o.role))
        return cli_usage(cli, "--role must be viewer, operator, billing or admin");
    o.expires_ms = days ? clock_wall_ms() + days * DAY_MS : 0;
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    enum err e = operator_create(cli->db, cli->ctx, cli->config->cell.name, &o, token);
    if (e == ERR_CONFLICT)
        return cli_fail(cli, "an operator has this name already: %s", o.name);
    if (e != OK)
        return cli_fail_err(cli, e, "creating the operator");
    json_object *row = operator_json(cli, &o);
    cli_add_text(row, "token", token);
    return cli_print_line(cli, row, token);
}

int cmd_operator_list(struct cli *cli, int argc, char **argv)
{
    const struct cli_option options[] = {{0}};
    struct operator* list;
    size_t n;
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    enum err e = operator_list(cli->db, cli->ctx, &list, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "listing operators");
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(rows, operator_json(cli, &list[i]));
    return cli_print(cli, rows);
}

int cmd_operator_revoke(struct cli *cli, int argc, char **argv)
{
    const struct cli_option options[] = {{0}};
    const char *text;
    id operator;
    if (!cli_parse(cli, argc, argv, options, &text, 1))
        return CLI_USAGE;
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    enum err e = operator_find_name(cli->db, cli->ctx, text, &operator);
    if (e == OK)
        e = operator_revoke(cli->db, &operator);
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "no operator has this id or name: %s", text);
    if (e != OK)
        return cli_fail_err(cli, e, "revoking the operator");
    json_object *row = json_object_new_object();
    cli_add_text(row, "id", operator.text);
    json_object_object_add(row, "revoked", json_object_new_boolean(true));
    return cli_print_line(cli, row, "revoked (takes effect within 1 s)");
}
