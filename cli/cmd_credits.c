#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/month.h"
#include "cli/names.h"
#include "store/credit.h"
#include "store/usage.h"
#include "store/workspace.h"

enum { STATEMENT_S = 10, LEDGER_DEFAULT = 20, LEDGER_MAX = 100000 };

/* --- grant and balance --- */

static json_object *balance_json(const id *workspace, int64_t balance)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "workspace_id", workspace->text);
    cli_add_credits(o, "balance", balance);
    return o;
}

/* Prints the balance; of a repeated grant also that it is one. */
static int print_grant(struct cli *cli, const struct credit_grant *g, const struct credit_grant_outcome *made)
{
    char balance[CREDITS_TEXT_SIZE];
    json_object *o = balance_json(&g->workspace_id, made->balance);
    cli_add_text(o, "ledger_id", made->row.grant.id.text);
    json_object_object_add(o, "is_new", json_object_new_boolean(made->is_new));
    credits_text(made->balance, balance);
    return cli_print_line(
        cli, o,
        made->is_new
            ? balance
            : talloc_asprintf(cli->ctx, "%s (granted before with this reference; nothing was changed)",
                              balance));
}

static int fail_reference(struct cli *cli, const struct credit_grant *g,
                          const struct credit_grant_outcome *made)
{
    char granted[CREDITS_TEXT_SIZE];
    return cli_fail(
        cli, "the reference \"%s\" was used before, for %s credits (ledger row %s); nothing was changed",
        g->reference, credits_text(made->row.grant.amount, granted), made->row.grant.id.text);
}

static bool text_fits(struct cli *cli, const char *option, const char *text, size_t max)
{
    if (!*text || strlen(text) > max)
        cli_usage(cli, "%s must have 1 to %zu bytes", option, max);
    else if (!utf8_is_valid(text, strlen(text)))
        cli_usage(cli, "%s must be valid UTF-8", option);
    else
        return true;
    return false;
}

int cmd_credits_grant(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL, *credits = NULL;
    struct credit_grant g = {
        .grant_id = id_new(), .category = GRANT_PAID, .priority = GRANT_PRIORITY_DEFAULT};
    struct credit_grant_outcome made;
    const struct cli_option options[] = {{"workspace", .text_r = &text},
                                         {"credits", .text_r = &credits, .required = true},
                                         {"reason", .text_r = &g.reason, .required = true},
                                         {"reference", .text_r = &g.reference},
                                         {0}};
    if (!cli_parse(cli, argc, argv, options, NULL, 0) ||
        !cli_credits(cli, "--credits", credits, INT64_MIN, &g.micro) ||
        !text_fits(cli, "--reason", g.reason, CREDIT_REASON_MAX) ||
        (g.reference && !text_fits(cli, "--reference", g.reference, CREDIT_REFERENCE_MAX)))
        return CLI_USAGE;
    if (g.micro == 0)
        return cli_usage(cli, "--credits must not be 0");
    int code = cli_open_workspace(cli, STATEMENT_S, text, &g.workspace_id);
    if (code != CLI_DONE)
        return code;
    enum err e = credit_grant(cli->db, cli->redis, cli->ctx, &g, &made);
    if (e == ERR_LIMIT)
        return cli_fail(cli, "the balance would fall below zero or grow too large; nothing was changed");
    if (e == ERR_CONFLICT)
        return fail_reference(cli, &g, &made);
    return e == OK ? print_grant(cli, &g, &made) : cli_fail_err(cli, e, "granting credits");
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
    char balance[CREDITS_TEXT_SIZE];
    enum err e = workspace_list(cli->db, cli->ctx, &workspace, &w, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "reading the balance");
    return cli_print_line(cli, balance_json(&workspace, w->balance), credits_text(w->balance, balance));
}

/* --- ledger --- */

struct ledger_filter {
    id workspace, from, before;
    /* 0: any */
    int kind;
    int64_t limit;
};

static json_object *entry_json(const struct db_rows *rows, size_t i)
{
    id row = db_get_id(rows, i, OPERATOR_LEDGER_ID);
    json_object *o = json_object_new_object();
    cli_add_time(o, "at", id_ms(&row), true);
    cli_add_text(o, "kind", ledger_kind_name((enum ledger_kind)db_int(rows, i, OPERATOR_LEDGER_KIND)));
    cli_add_credits(o, "credits", db_int(rows, i, OPERATOR_LEDGER_AMOUNT));
    cli_add_bytes(o, "responder", db_cell(rows, i, OPERATOR_LEDGER_RESPONDER));
    cli_add_bytes(o, "key_prefix", db_cell(rows, i, OPERATOR_LEDGER_KEY_PREFIX));
    cli_add_bytes(o, "reason", db_cell(rows, i, OPERATOR_LEDGER_REASON));
    cli_add_bytes(o, "reference", db_cell(rows, i, OPERATOR_LEDGER_REFERENCE));
    cli_add_bytes(o, "execution_id", db_cell(rows, i, OPERATOR_LEDGER_EXECUTION_ID));
    cli_add_text(o, "id", row.text);
    cli_add_bytes(o, "responder_id", db_cell(rows, i, OPERATOR_LEDGER_RESPONDER_ID));
    cli_add_bytes(o, "key_id", db_cell(rows, i, OPERATOR_LEDGER_KEY_ID));
    return o;
}

static int print_ledger(struct cli *cli, const struct ledger_filter *f)
{
    struct db_value kind = db_number_or_null(f->kind, f->kind != 0);
    struct db_value args[] = {db_id(&f->workspace), db_id(&f->from), db_id(&f->before), kind, kind,
                              db_number(f->limit)};
    struct db_rows *rows;
    enum err e = db_run(cli->db, cli->ctx, SQL_OPERATOR_LEDGER, args, sizeof args / sizeof args[0], &rows);
    if (e != OK)
        return cli_fail_err(cli, e, "reading the ledger");
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < rows->count; i++)
        json_object_array_add(list, entry_json(rows, i));
    return cli_print(cli, list);
}

/* Sets the bounds of the ids. False after an error message. */
static bool read_bounds(struct cli *cli, const char *month, const char *before, struct ledger_filter *f)
{
    int64_t from_ms = 0, to_ms = 0;
    id cursor;
    if (month && !month_parse(month, &from_ms, &to_ms)) {
        cli_usage(cli, "--month must be YYYY-MM, not \"%s\"", month);
        return false;
    }
    f->from = month ? id_floor(from_ms) : (id){"00000000-0000-0000-0000-000000000000"};
    f->before = month ? id_floor(to_ms) : (id){"ffffffff-ffff-ffff-ffff-ffffffffffff"};
    if (!before)
        return true;
    if (!cli_id(cli, "--before", before, &cursor))
        return false;
    if (strcmp(cursor.text, f->before.text) < 0)
        f->before = cursor;
    return true;
}

int cmd_credits_ledger(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL, *month = NULL, *kind = NULL, *before = NULL, *limit = NULL;
    const struct cli_option options[] = {{"workspace", .text_r = &text}, {"month", .text_r = &month},
                                         {"kind", .text_r = &kind},      {"before", .text_r = &before},
                                         {"limit", .text_r = &limit},    {0}};
    struct ledger_filter f = {.limit = LEDGER_DEFAULT};
    if (!cli_parse(cli, argc, argv, options, NULL, 0) || !read_bounds(cli, month, before, &f) ||
        (limit && !cli_number(cli, "--limit", limit, 1, LEDGER_MAX, &f.limit)))
        return CLI_USAGE;
    for (int k = LEDGER_GRANT; kind && k <= LEDGER_VOID; k++) {
        if (strcmp(ledger_kind_name((enum ledger_kind)k), kind) == 0)
            f.kind = k;
    }
    if (kind && f.kind == 0)
        return cli_usage(cli, "--kind must be grant, debit, refund, expiry or void, not \"%s\"", kind);
    int code = cli_open_workspace(cli, STATEMENT_S, text, &f.workspace);
    return code == CLI_DONE ? print_ledger(cli, &f) : code;
}
