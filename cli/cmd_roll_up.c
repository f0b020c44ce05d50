/* millrace billing roll-up, rolled-up: old months of the ledger (lib/billing/roll_up.h). */
#include <sodium.h>
#include <talloc.h>

#include "billing/roll_up.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "deed/deed.h"
#include "schedule/calendar.h"

enum { STATEMENT_S = 60 };

static json_object *roll_up_json(const struct roll_up *r)
{
    char month[CALENDAR_MONTH_SIZE], checksum[2 * ROLL_UP_CHECKSUM + 1];
    json_object *o = json_object_new_object();
    cli_add_text(o, "workspace_id", r->workspace_id.text);
    cli_add_text(o, "workspace", r->workspace);
    cli_add_text(o, "month", calendar_month_text(r->month, month));
    cli_add_text(o, "state", r->done ? "done" : "running");
    cli_add_number(o, "entries", r->n);
    cli_add_credits(o, "credits", r->amount);
    json_object_object_add(o, "pushed", json_object_new_boolean(!r->unsent));
    cli_add_time(o, "begun_at", r->begun_ms, true);
    cli_add_time(o, "done_at", r->ended_ms, r->done);
    sodium_bin2hex(checksum, sizeof checksum, r->checksum, ROLL_UP_CHECKSUM);
    cli_add_text(o, "checksum", r->done ? checksum : NULL);
    return o;
}

static int print_roll_ups(struct cli *cli, const id *workspace)
{
    struct roll_up *list;
    size_t n;
    enum err e = roll_up_list(cli->db, cli->ctx, workspace, &list, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "listing what is rolled up");
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(rows, roll_up_json(&list[i]));
    return cli_print(cli, rows);
}

int cmd_billing_rolled_up(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL;
    const struct cli_option options[] = {{"workspace", .text_r = &text}, {0}};
    id workspace = {{0}};
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    int code = cli_open(cli, STATEMENT_S) ? cli_workspace_filter(cli, text, &workspace) : CLI_FAILED;
    return code == CLI_DONE ? print_roll_ups(cli, id_is_set(&workspace) ? &workspace : NULL) : code;
}

int cmd_billing_roll_up(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL, *before = NULL;
    const struct cli_option options[] = {
        {"before", .text_r = &before, .required = true}, {"workspace", .text_r = &text}, {0}};
    struct roll_up_rules rules = {0};
    id after = {{0}};
    bool more = true;
    uint64_t n;
    enum err e = OK;
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    if (!calendar_month_parse(before, &rules.before_month))
        return cli_usage(cli, "--before must be YYYY-MM, not \"%s\"", before);
    int code = cli_open(cli, STATEMENT_S) ? cli_workspace_filter(cli, text, &rules.workspace) : CLI_FAILED;
    if (code != CLI_DONE)
        return code;
    rules.wait_days = cli->config->billing.rollup_wait_days;
    while (e == OK && more) {
        deed_next();
        e = roll_up_step(cli->db, &rules, &after, &n, &more);
    }
    if (e != OK)
        return cli_fail_err(cli, e, "rolling up");
    return print_roll_ups(cli, id_is_set(&rules.workspace) ? &rules.workspace : NULL);
}
