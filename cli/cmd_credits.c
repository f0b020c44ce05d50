#include <string.h>

#include "account/credits.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "store/credit.h"
#include "store/workspace.h"

enum { STATEMENT_S = 10, REASON_MAX_BYTES = 500 };

static int print_balance(struct cli *cli, const id *workspace, int64_t balance)
{
    char text[CREDITS_TEXT_SIZE];
    json_object *o = json_object_new_object();
    cli_add_text(o, "workspace_id", workspace->text);
    cli_add_credits(o, "balance", balance);
    return cli_print_line(cli, o, credits_text(balance, text));
}

int cmd_credits_grant(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL, *credits = NULL, *reason = NULL;
    const struct cli_option options[] = {{"workspace", .text_r = &text},
                                         {"credits", .text_r = &credits, .required = true},
                                         {"reason", .text_r = &reason, .required = true},
                                         {0}};
    id workspace, row = id_new();
    int64_t micro, balance;
    if (!cli_parse(cli, argc, argv, options, NULL, 0) ||
        !cli_credits(cli, "--credits", credits, INT64_MIN, &micro))
        return CLI_USAGE;
    if (!*reason || strlen(reason) > REASON_MAX_BYTES)
        return cli_usage(cli, "--reason must have 1 to %d bytes", REASON_MAX_BYTES);
    if (!utf8_is_valid(reason, strlen(reason)))
        return cli_usage(cli, "--reason must be valid UTF-8");
    if (micro == 0)
        return cli_usage(cli, "--credits must not be 0");
    int code = cli_open_workspace(cli, STATEMENT_S, text, &workspace);
    if (code != CLI_DONE)
        return code;
    enum err e = credit_grant(cli->db, cli->redis, &workspace, &row, micro, reason, &balance);
    if (e == ERR_LIMIT)
        return cli_fail(cli, "the balance would fall below zero or grow too large; nothing was changed");
    return e == OK ? print_balance(cli, &workspace, balance) : cli_fail_err(cli, e, "granting credits");
}

int cmd_credits_balance(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL;
    const struct cli_option options[] = {{"workspace", .text_r = &text}, {0}};
    id workspace;
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    int code = cli_open_workspace(cli, STATEMENT_S, text, &workspace);
    if (code != CLI_DONE)
        return code;
    struct workspace *w;
    size_t n;
    enum err e = workspace_list(cli->db, cli->ctx, &workspace, &w, &n);
    return e == OK ? print_balance(cli, &workspace, w->balance) : cli_fail_err(cli, e, "reading the balance");
}
