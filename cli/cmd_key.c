#include "base/clock.h"
#include "base/scopes.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "store/key.h"

enum { STATEMENT_S = 10, DAYS_MAX = 36500 };
static const int64_t DAY_MS = 86400000;

static json_object *scopes_json(uint32_t scopes)
{
    json_object *list = json_object_new_array();
    for (uint32_t bit = 1; bit <= SCOPES_KNOWN; bit <<= 1) {
        if (scopes & bit)
            json_object_array_add(list, json_object_new_string(scope_name((enum scope)bit)));
    }
    return list;
}

static json_object *key_json(struct cli *cli, const struct api_key *k)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "id", k->id.text);
    cli_add_text(o, "prefix", k->prefix);
    cli_add_text(o, "principal_id", k->principal_id.text);
    if (cli->json)
        json_object_object_add(o, "scopes", scopes_json(k->scopes));
    else
        cli_add_text(o, "scopes", k->scopes == SCOPES_ALL ? "all" : scopes_text(cli->ctx, k->scopes));
    cli_add_time(o, "created_at", k->created_ms, true);
    cli_add_time(o, "expires_at", k->expires_ms, k->expires_ms != 0);
    cli_add_time(o, "revoked_at", k->revoked_ms, k->revoked_ms != 0);
    cli_add_time(o, "last_used_at", k->last_used_ms, k->last_used_ms != 0);
    return o;
}

int cmd_key_create(struct cli *cli, int argc, char **argv)
{
    const char *workspace = NULL, *scopes = NULL, *days_text = NULL, *principal = NULL;
    const struct cli_option options[] = {{"workspace", .text_r = &workspace},
                                         {"scopes", .text_r = &scopes, .required = true},
                                         {"expires-in-days", .text_r = &days_text},
                                         {"principal", .text_r = &principal},
                                         {0}};
    struct api_key k = {.id = id_new(), .principal_id = id_new()};
    int64_t days = 0;
    if (!cli_parse(cli, argc, argv, options, NULL, 0) ||
        (principal && !cli_id(cli, "--principal", principal, &k.principal_id)) ||
        (days_text && !cli_number(cli, "--expires-in-days", days_text, 1, DAYS_MAX, &days)))
        return CLI_USAGE;
    if (!scopes_parse(scopes, &k.scopes))
        return cli_usage(cli, "--scopes must be \"all\" or a comma-separated list of %s",
                         scopes_text(cli->ctx, SCOPES_KNOWN));
    k.expires_ms = days ? clock_wall_ms() + days * DAY_MS : 0;
    int code = cli_open_workspace(cli, STATEMENT_S, workspace, &k.workspace_id);
    if (code != CLI_DONE)
        return code;
    char key[API_KEY_TEXT_SIZE];
    enum err e = api_key_create(cli->db, cli->ctx, cli->config->cell.name, &k, key);
    if (e != OK)
        return cli_fail_err(cli, e, "creating the key");
    json_object *o = key_json(cli, &k);
    cli_add_text(o, "key", key);
    return cli_print_line(cli, o, key);
}

int cmd_key_list(struct cli *cli, int argc, char **argv)
{
    id workspace;
    int code = cli_begin(cli, argc, argv, NULL, NULL, 0, STATEMENT_S, &workspace);
    if (code != CLI_DONE)
        return code;
    struct api_key *list;
    size_t n;
    enum err e = api_key_list(cli->db, cli->ctx, &workspace, &list, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "listing keys");
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(rows, key_json(cli, &list[i]));
    return cli_print(cli, rows);
}

int cmd_key_revoke(struct cli *cli, int argc, char **argv)
{
    const char *key_text;
    id workspace, key;
    int code = cli_begin(cli, argc, argv, NULL, &key_text, 1, STATEMENT_S, &workspace);
    if (code == CLI_DONE)
        code = cli_key(cli, &workspace, key_text, &key);
    if (code != CLI_DONE)
        return code;
    enum err e = api_key_revoke(cli->db, &workspace, &key);
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "key not found in this workspace: %s", key.text);
    if (e != OK)
        return cli_fail_err(cli, e, "revoking the key");
    json_object *o = json_object_new_object();
    cli_add_text(o, "id", key.text);
    json_object_object_add(o, "revoked", json_object_new_boolean(true));
    return cli_print_line(cli, o, "revoked (takes effect within 1 s)");
}
