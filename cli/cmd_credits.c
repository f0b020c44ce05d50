#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "billing/statement.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "store/credit.h"
#include "store/usage.h"
#include "store/workspace.h"

enum { STATEMENT_S = 10, LEDGER_DEFAULT = 20, LEDGER_MAX = 100000 };

/* --- grant --- */

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
        cli,
        "the reference \"%s\" was used before, for another grant of %s credits (%s); nothing was changed",
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

/* Options that only a positive grant takes; a correction (negative credits) takes none of them. */
struct grant_texts {
    const char *category, *priority, *effective_from, *expires_at;
};

static bool read_moment(struct cli *cli, const char *option, const char *text, int64_t *ms_r)
{
    *ms_r = text ? clock_parse(text) : 0;
    if (text && *ms_r <= 0)
        cli_usage(cli, "%s must be a date or a date-time (RFC 3339), not \"%s\"", option, text);
    return !text || *ms_r > 0;
}

static bool read_kind(struct cli *cli, const struct grant_texts *t, struct credit_grant *g)
{
    int64_t priority = GRANT_PRIORITY_DEFAULT;
    g->category = t->category ? credit_category_find(t->category) : GRANT_PAID;
    if (g->micro < 0 && (t->category || t->priority || t->effective_from || t->expires_at)) {
        cli_usage(cli, "a negative amount takes --reason and --reference only");
        return false;
    }
    if (g->category == 0) {
        cli_usage(cli, "--category must be paid or promotional, not \"%s\"", t->category);
        return false;
    }
    if (t->priority && !cli_number(cli, "--priority", t->priority, 0, GRANT_PRIORITY_MAX, &priority))
        return false;
    g->priority = (int)priority;
    return read_moment(cli, "--effective-from", t->effective_from, &g->effective_ms) &&
           read_moment(cli, "--expires-at", t->expires_at, &g->expires_ms);
}

static bool texts_fit(struct cli *cli, const struct credit_grant *g)
{
    return text_fits(cli, "--reason", g->reason, CREDIT_REASON_MAX) &&
           (!g->reference || text_fits(cli, "--reference", g->reference, CREDIT_REFERENCE_MAX));
}

int cmd_credits_grant(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL, *credits = NULL;
    struct grant_texts t = {0};
    struct credit_grant g = {.grant_id = id_new()};
    struct credit_grant_outcome made;
    const struct cli_option options[] = {{"workspace", .text_r = &text},
                                         {"credits", .text_r = &credits, .required = true},
                                         {"reason", .text_r = &g.reason, .required = true},
                                         {"reference", .text_r = &g.reference},
                                         {"category", .text_r = &t.category},
                                         {"priority", .text_r = &t.priority},
                                         {"effective-from", .text_r = &t.effective_from},
                                         {"expires-at", .text_r = &t.expires_at},
                                         {0}};
    if (!cli_parse(cli, argc, argv, options, NULL, 0) ||
        !cli_credits(cli, "--credits", credits, INT64_MIN, &g.micro) || !texts_fit(cli, &g) ||
        !read_kind(cli, &t, &g))
        return CLI_USAGE;
    if (g.micro == 0)
        return cli_usage(cli, "--credits must not be 0");
    int code = cli_open_workspace(cli, STATEMENT_S, text, &g.workspace_id);
    if (code != CLI_DONE)
        return code;
    enum err e = credit_grant(cli->db, cli->redis, cli->ctx, &g, &made);
    if (e == ERR_LIMIT)
        return cli_fail(cli, g.micro < 0
                                 ? "the balance would fall below zero; nothing was changed"
                                 : "the balance, or what is granted in this month, would exceed "
                                   "4,611,686,018,427 credits (scheduled grants included), or the workspace "
                                   "has 1,000 open grants; nothing was changed");
    if (e == ERR_INVALID)
        return cli_fail(cli,
                        "--expires-at must be later than now and than --effective-from; nothing was changed");
    if (e == ERR_CONFLICT)
        return fail_reference(cli, &g, &made);
    return e == OK ? print_grant(cli, &g, &made) : cli_fail_err(cli, e, "granting credits");
}

/* --- void and list --- */

int cmd_credits_void(struct cli *cli, int argc, char **argv)
{
    const char *workspace = NULL, *grant = NULL;
    struct credit_void v = {.void_id = id_new()};
    struct credit_void_outcome made;
    const struct cli_option options[] = {
        {"workspace", .text_r = &workspace}, {"reason", .text_r = &v.reason, .required = true}, {0}};
    if (!cli_parse(cli, argc, argv, options, &grant, 1) || !cli_id(cli, "GRANT", grant, &v.grant_id) ||
        !text_fits(cli, "--reason", v.reason, CREDIT_REASON_MAX))
        return CLI_USAGE;
    int code = cli_open_workspace(cli, STATEMENT_S, workspace, &v.workspace_id);
    if (code != CLI_DONE)
        return code;
    enum err e = credit_void(cli->db, cli->redis, &v, &made);
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "the workspace has no grant %s", v.grant_id.text);
    if (e == ERR_CONFLICT)
        return cli_fail(cli, "the grant %s has expired; nothing was changed", v.grant_id.text);
    if (e != OK)
        return cli_fail_err(cli, e, "voiding the grant");
    char balance[CREDITS_TEXT_SIZE];
    json_object *o = balance_json(&v.workspace_id, made.balance);
    cli_add_text(o, "grant_id", v.grant_id.text);
    cli_add_credits(o, "voided", made.micro);
    json_object_object_add(o, "is_new", json_object_new_boolean(made.is_new));
    credits_text(made.balance, balance);
    return cli_print_line(
        cli, o,
        made.is_new
            ? balance
            : talloc_asprintf(cli->ctx, "%s (the grant was voided before; nothing was changed)", balance));
}

static json_object *grant_json(const struct credit_grant_row *row)
{
    const struct grant *g = &row->grant;
    json_object *o = json_object_new_object();
    cli_add_text(o, "id", g->id.text);
    cli_add_text(o, "status", credit_grant_status_name(row->status));
    cli_add_credits(o, "credits", g->amount);
    cli_add_credits(o, "remaining", g->remaining);
    cli_add_text(o, "category", credit_category_name(g->category));
    cli_add_number(o, "priority", g->priority);
    cli_add_time(o, "effective_from", g->effective_ms, true);
    cli_add_time(o, "expires_at", g->expires_ms, g->expires_ms != 0);
    cli_add_text(o, "reference", row->reference);
    cli_add_text(o, "note", g->note);
    cli_add_text(o, "refund_of", id_is_set(&g->refund_of) ? g->refund_of.text : NULL);
    return o;
}

int cmd_credits_list(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL, *status_text = NULL, *before_text = NULL, *limit_text = NULL;
    const struct cli_option options[] = {{"workspace", .text_r = &text},
                                         {"status", .text_r = &status_text},
                                         {"before", .text_r = &before_text},
                                         {"limit", .text_r = &limit_text},
                                         {0}};
    enum credit_grant_status status = 0;
    int64_t limit = LEDGER_DEFAULT;
    id workspace, before = {{0}};
    if (!cli_parse(cli, argc, argv, options, NULL, 0) ||
        (before_text && !cli_id(cli, "--before", before_text, &before)) ||
        (limit_text && !cli_number(cli, "--limit", limit_text, 1, LEDGER_MAX, &limit)))
        return CLI_USAGE;
    if (status_text && (status = credit_grant_status_find(status_text)) == 0)
        return cli_usage(cli, "--status must be scheduled, active, used, expired or voided, not \"%s\"",
                         status_text);
    int code = cli_open_workspace(cli, STATEMENT_S, text, &workspace);
    if (code != CLI_DONE)
        return code;
    struct credit_grant_row *list;
    size_t n;
    enum err e = credit_grants_page(cli->db, cli->ctx, &workspace, status, &before, limit, &list, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "reading the grants");
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(rows, grant_json(&list[i]));
    return cli_print(cli, rows);
}

/* --- balance --- */

int cmd_credits_balance(struct cli *cli, int argc, char **argv)
{
    id workspace;
    int code = cli_begin(cli, argc, argv, NULL, NULL, 0, STATEMENT_S, &workspace);
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
    cli_add_bytes(o, "grant_id", db_cell(rows, i, OPERATOR_LEDGER_GRANT_ID));
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

/* Sets the bounds of the ids; a month is that of the workspace's time zone. */
static int read_bounds(struct cli *cli, const char *month_text, const char *before, struct ledger_filter *f)
{
    struct period p = {0};
    int month;
    id cursor;
    if (month_text && !calendar_month_parse(month_text, &month))
        return cli_usage(cli, "--month must be YYYY-MM, not \"%s\"", month_text);
    enum err e = month_text ? billing_month_of(cli->db, &f->workspace, month, &p) : OK;
    if (e != OK)
        return cli_fail_err(cli, e, "reading the workspace");
    f->from = month_text ? id_floor(p.start_ms) : (id){"00000000-0000-0000-0000-000000000000"};
    f->before = month_text ? id_floor(p.end_ms) : (id){"ffffffff-ffff-ffff-ffff-ffffffffffff"};
    if (!before)
        return CLI_DONE;
    if (!cli_id(cli, "--before", before, &cursor))
        return CLI_USAGE;
    if (strcmp(cursor.text, f->before.text) < 0)
        f->before = cursor;
    return CLI_DONE;
}

int cmd_credits_ledger(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL, *month = NULL, *kind = NULL, *before = NULL, *limit = NULL;
    const struct cli_option options[] = {{"workspace", .text_r = &text}, {"month", .text_r = &month},
                                         {"kind", .text_r = &kind},      {"before", .text_r = &before},
                                         {"limit", .text_r = &limit},    {0}};
    struct ledger_filter f = {.limit = LEDGER_DEFAULT};
    if (!cli_parse(cli, argc, argv, options, NULL, 0) ||
        (limit && !cli_number(cli, "--limit", limit, 1, LEDGER_MAX, &f.limit)))
        return CLI_USAGE;
    for (int k = LEDGER_GRANT; kind && k < LEDGER_KINDS_END; k++) {
        if (strcmp(ledger_kind_name((enum ledger_kind)k), kind) == 0)
            f.kind = k;
    }
    if (kind && f.kind == 0)
        return cli_usage(cli, "--kind must be grant, debit, refund, release, expiry or void, not \"%s\"",
                         kind);
    int code = cli_open_workspace(cli, STATEMENT_S, text, &f.workspace);
    if (code == CLI_DONE)
        code = read_bounds(cli, month, before, &f);
    return code == CLI_DONE ? print_ledger(cli, &f) : code;
}
