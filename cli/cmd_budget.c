#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "spending/budget_store.h"

enum { STATEMENT_S = 10 };

static json_object *budget_json(const struct spending_budget *b)
{
    const struct budget_row *row = &b->row;
    json_object *o = json_object_new_object();
    bool ends = row->current.end_ms != PERIOD_NEVER;
    cli_add_text(o, "id", row->id.text);
    cli_add_text(o, "scope", budget_scope_name(row->scope));
    json_object_object_add(
        o, "target",
        row->target.size > 0 ? json_object_new_string_len(row->target.at, (int)row->target.size) : NULL);
    cli_add_text(o, "period", period_name(row->period));
    cli_add_credits(o, "limit", row->limit);
    json_object_object_add(o, "soft_percent",
                           row->soft_percent > 0 ? json_object_new_int(row->soft_percent) : NULL);
    cli_add_credits(o, "used", row->used);
    cli_add_text(o, "level", budget_level_name(row));
    cli_add_time(o, "reset_at", row->current.end_ms, ends);
    cli_add_time(o, "created_at", b->created_ms, true);
    return o;
}

int cmd_budget_list(struct cli *cli, int argc, char **argv)
{
    id workspace, after = {{0}};
    int code = cli_begin(cli, argc, argv, NULL, NULL, 0, STATEMENT_S, &workspace);
    if (code != CLI_DONE)
        return code;
    json_object *rows = json_object_new_array();
    for (size_t n = BUDGETS_LIST_MAX; n == BUDGETS_LIST_MAX;) {
        struct spending_budget *list;
        enum err e = budget_list(cli->db, cli->ctx, &workspace, &after, BUDGETS_LIST_MAX, &list, &n);
        if (e != OK) {
            json_object_put(rows);
            return cli_fail_err(cli, e, "listing budgets");
        }
        for (size_t i = 0; i < n; i++)
            json_object_array_add(rows, budget_json(&list[i]));
        if (n > 0)
            after = list[n - 1].row.id;
    }
    return cli_print(cli, rows);
}

struct budget_texts {
    const char *workspace, *scope, *target, *period, *limit, *soft;
};

static bool parse_budget(struct cli *cli, const struct budget_texts *t, struct budget_row *row)
{
    int64_t soft = 0;
    row->scope = budget_scope_from_name(t->scope);
    row->period = period_from_name(t->period);
    if (row->scope == 0)
        return cli_usage(cli, "--scope must be workspace, key, principal, responder or tag"), false;
    if (row->period == 0)
        return cli_usage(cli, "--period must be day, month or total"), false;
    const char *problem =
        budget_read_target(cli->ctx, row->scope, t->target, t->target ? strlen(t->target) : 0, &row->target);
    if (problem)
        return cli_usage(cli, "--target must be %s", problem), false;
    if (!cli_credits(cli, "--limit", t->limit, 0, &row->limit))
        return false;
    if (row->limit > BUDGET_LIMIT_MAX)
        return cli_usage(cli, "--limit must be at most 1000000000"), false;
    if (t->soft && !cli_number(cli, "--soft-percent", t->soft, BUDGET_SOFT_MIN, BUDGET_SOFT_MAX, &soft))
        return false;
    row->soft_percent = (int)soft;
    return true;
}

static int fail_creation(struct cli *cli, const struct budget_row *row, enum err e)
{
    if (e == ERR_INVALID)
        return cli_fail(cli, "the workspace has no such %s: %.*s", budget_scope_name(row->scope),
                        (int)row->target.size, row->target.at);
    if (e == ERR_DENIED)
        return cli_fail(cli, "more than %d budgets would apply to a run without tags",
                        BUDGETS_WITHOUT_TAG_MAX);
    return cli_fail_err(cli, e, "setting the budget");
}

int cmd_budget_set(struct cli *cli, int argc, char **argv)
{
    struct budget_texts t = {0};
    const struct cli_option options[] = {{"workspace", .text_r = &t.workspace},
                                         {"scope", .text_r = &t.scope, .required = true},
                                         {"target", .text_r = &t.target},
                                         {"period", .text_r = &t.period, .required = true},
                                         {"limit", .text_r = &t.limit, .required = true},
                                         {"soft-percent", .text_r = &t.soft},
                                         {0}};
    struct budget_row row = {.id = id_new()};
    struct spending_budget stored;
    if (!cli_parse(cli, argc, argv, options, NULL, 0) || !parse_budget(cli, &t, &row))
        return CLI_USAGE;
    int code = cli_open_workspace(cli, STATEMENT_S, t.workspace, &row.workspace_id);
    if (code != CLI_DONE)
        return code;
    enum err e = budget_create(cli->db, &row, INT64_MAX, true, NULL);
    if (e != OK)
        return fail_creation(cli, &row, e);
    e = budget_get(cli->db, cli->ctx, &row.workspace_id, &row.id, &stored);
    return e == OK ? cli_print(cli, budget_json(&stored)) : cli_fail_err(cli, e, "reading the budget");
}

int cmd_budget_remove(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL, *budget_text;
    const struct cli_option options[] = {{"workspace", .text_r = &text}, {0}};
    id workspace, budget;
    if (!cli_parse(cli, argc, argv, options, &budget_text, 1) || !cli_id(cli, "ID", budget_text, &budget))
        return CLI_USAGE;
    int code = cli_open_workspace(cli, STATEMENT_S, text, &workspace);
    if (code != CLI_DONE)
        return code;
    enum err e = budget_delete(cli->db, &workspace, &budget);
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "budget not found in this workspace: %s", budget.text);
    return e == OK ? CLI_DONE : cli_fail_err(cli, e, "removing the budget");
}
