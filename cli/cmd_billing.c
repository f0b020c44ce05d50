#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/csv.h"
#include "billing/statement.h"
#include "billing/statement_print.h"
#include "cli/commands.h"
#include "cli/names.h"

enum { STATEMENT_S = 600 };

/* What lines are grouped by, beside the workspace; "workspace": by nothing else. */
static const struct {
    const char *name;
    unsigned by;
} groupings[] = {
    {"workspace", 0}, {"responder", BILLING_BY_RESPONDER}, {"key", BILLING_BY_KEY}, {"day", BILLING_BY_DAY}};
enum { GROUPINGS = sizeof groupings / sizeof groupings[0] };

enum format { FORMAT_TABLE, FORMAT_CSV, FORMAT_JSON, FORMAT_HTML };
static const char *const format_names[] = {"table", "csv", "json", "html"};
enum { FORMATS = sizeof format_names / sizeof format_names[0] };

struct billing_arguments {
    const char *month_text;
    int month;
    /* not set: all workspaces */
    id workspace;
    unsigned by;
    /* --by was given. */
    bool has_by;
    enum format format;
};

/* --- output: every format prints the members of the same objects --- */

static char *append_csv_value(char *csv, json_object *value)
{
    if (json_object_is_type(value, json_type_string))
        return csv_append_text(csv, json_object_get_string(value), (size_t)json_object_get_string_len(value));
    return value ? talloc_strdup_append_buffer(csv, json_text(value, NULL))
                 : talloc_strdup_append_buffer(csv, "\"\"");
}

/* Prints the members of the first object as the heading, also if there are no rows: `sample` has the members.
 */
static int print_csv(struct cli *cli, json_object *rows, json_object *sample)
{
    char *csv = talloc_strdup(cli->ctx, "");
    json_object_object_foreach(sample, name, unused)
    {
        (void)unused;
        csv = talloc_asprintf_append_buffer(csv, "%s%s", *csv ? "," : "", name);
    }
    printf("%s\r\n", csv);
    for (size_t i = 0; i < json_object_array_length(rows); i++) {
        char *line = talloc_strdup(cli->ctx, "");
        json_object_object_foreach(json_object_array_get_idx(rows, i), member, value)
        {
            (void)member;
            line = append_csv_value(*line ? talloc_strdup_append_buffer(line, ",") : line, value);
        }
        printf("%s\r\n", line);
        talloc_free(line);
    }
    json_object_put(rows);
    json_object_put(sample);
    return CLI_DONE;
}

static void add_sums(json_object *o, const struct billing_sums *sums)
{
    cli_add_number(o, "runs", billing_runs(sums));
    cli_add_credits(o, "debited", billing_debited(sums));
    cli_add_credits(o, "refunded", billing_refunded(sums));
    cli_add_credits(o, "used", billing_used(sums));
}

static json_object *workspace_json(const struct statement *s)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "workspace_id", s->workspace_id.text);
    cli_add_text(o, "workspace", s->workspace);
    return o;
}

/* A line with its workspace before it. */
static json_object *usage_json(const struct statement *s, const struct billing_line *line, unsigned by)
{
    json_object *o = workspace_json(s), *members = billing_line_json(line, by);
    json_object_object_foreach(members, name, value)
    {
        json_object_object_add(o, name, json_object_get(value));
    }
    json_object_put(members);
    return o;
}

static int print_export(struct cli *cli, const struct billing_arguments *a, const struct statement *list,
                        size_t n)
{
    const struct statement no_statement = {.workspace = ""};
    const struct billing_line no_line = {0};
    struct billing_sums total = {0};
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++) {
        for (size_t l = 0; l < list[i].lines_n; l++) {
            json_object_array_add(rows, usage_json(&list[i], &list[i].lines[l], a->by));
            billing_sums_add(&total, &list[i].lines[l].sums);
        }
    }
    if (a->format == FORMAT_CSV)
        return print_csv(cli, rows, usage_json(&no_statement, &no_line, a->by));
    if (a->format == FORMAT_TABLE)
        return cli_print(cli, rows);
    json_object *o = json_object_new_object(), *sums = json_object_new_object();
    add_sums(sums, &total);
    cli_add_text(o, "month", a->month_text);
    json_object_object_add(o, "rows", rows);
    json_object_object_add(o, "total", sums);
    cli->json = true;
    return cli_print(cli, o);
}

/* --- arguments --- */

static bool find_grouping(struct cli *cli, const char *text, struct billing_arguments *a)
{
    for (int i = 0; text && i < GROUPINGS; i++) {
        if (strcmp(groupings[i].name, text) == 0) {
            a->by = groupings[i].by;
            a->has_by = true;
        }
    }
    if (text && !a->has_by)
        cli_usage(cli, "--by must be workspace, responder, key or day, not \"%s\"", text);
    return !text || a->has_by;
}

static bool find_format(struct cli *cli, const char *text, enum format last, enum format *format_r)
{
    for (int i = 0; text && i <= (int)last; i++) {
        if (strcmp(format_names[i], text) == 0) {
            *format_r = (enum format)i;
            return true;
        }
    }
    if (text)
        cli_usage(cli, "--format must be table, csv%s, not \"%s\"",
                  last == FORMAT_HTML ? ", json or html" : " or json", text);
    return text == NULL;
}

/* Parses the options that both commands have, and opens MariaDB. `by`: what is grouped by without --by. */
static int read_arguments(struct cli *cli, int argc, char **argv, unsigned by, enum format preset,
                          enum format last, struct billing_arguments *a)
{
    const char *workspace = NULL, *by_text = NULL, *format_text = NULL;
    const struct cli_option options[] = {{"month", .text_r = &a->month_text, .required = true},
                                         {"workspace", .text_r = &workspace},
                                         {"by", .text_r = &by_text},
                                         {"format", .text_r = &format_text},
                                         {0}};
    a->by = by;
    a->format = cli->json ? FORMAT_JSON : preset;
    if (!cli_parse(cli, argc, argv, options, NULL, 0) || !find_grouping(cli, by_text, a) ||
        !find_format(cli, format_text, last, &a->format))
        return CLI_USAGE;
    if (!calendar_month_parse(a->month_text, &a->month))
        return cli_usage(cli, "--month must be YYYY-MM, not \"%s\"", a->month_text);
    if (!workspace && last == FORMAT_HTML && (a->has_by || a->format == FORMAT_HTML))
        return cli_usage(cli, "--by and --format html need --workspace");
    return cli_open(cli, STATEMENT_S) ? cli_workspace_filter(cli, workspace, &a->workspace) : CLI_FAILED;
}

static enum err read_statements(struct cli *cli, const struct billing_arguments *a, bool names,
                                struct statement **list_r, size_t *n_r)
{
    struct statement_query q = {.workspace = id_is_set(&a->workspace) ? &a->workspace : NULL,
                                .month = a->month,
                                .by = a->by,
                                .names = names};
    return statements_read(cli->db, cli->ctx, &q, list_r, n_r);
}

int cmd_billing_export(struct cli *cli, int argc, char **argv)
{
    struct billing_arguments a = {0};
    struct statement *list;
    size_t n;
    int code = read_arguments(cli, argc, argv, BILLING_BY_DAY | BILLING_BY_RESPONDER | BILLING_BY_KEY,
                              FORMAT_CSV, FORMAT_JSON, &a);
    if (code != CLI_DONE)
        return code;
    enum err e = read_statements(cli, &a, true, &list, &n);
    return e == OK ? print_export(cli, &a, list, n) : cli_fail_err(cli, e, "reading the ledger");
}

/* --- statements --- */

static int print_statements(struct cli *cli, const struct billing_arguments *a, const struct statement *list,
                            size_t n)
{
    const struct statement no_statement = {.workspace = ""};
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(rows, statement_json(&list[i], a->by, false));
    if (a->format == FORMAT_CSV)
        return print_csv(cli, rows, statement_json(&no_statement, a->by, false));
    cli->json = a->format == FORMAT_JSON;
    return cli_print(cli, rows);
}

static int print_statement(struct cli *cli, const struct billing_arguments *a, const struct statement *s)
{
    if (a->format == FORMAT_CSV || a->format == FORMAT_HTML) {
        fputs(a->format == FORMAT_CSV ? statement_csv(cli->ctx, s) : statement_html(cli->ctx, s), stdout);
        return CLI_DONE;
    }
    cli->json = a->format == FORMAT_JSON;
    return cli_print(cli, statement_json(s, a->by, true));
}

int cmd_billing_statement(struct cli *cli, int argc, char **argv)
{
    struct billing_arguments a = {0};
    struct statement *list;
    size_t n;
    int code =
        read_arguments(cli, argc, argv, BILLING_BY_RESPONDER | BILLING_BY_KEY, FORMAT_TABLE, FORMAT_HTML, &a);
    if (code != CLI_DONE)
        return code;
    bool is_one = id_is_set(&a.workspace);
    if (a.has_by && (a.format == FORMAT_CSV || a.format == FORMAT_HTML))
        return cli_usage(cli, "--by needs --format table or json; for CSV use billing export --by");
    enum err e = read_statements(cli, &a, is_one, &list, &n);
    if (e == OK && is_one && n == 0)
        return cli_fail(cli, "workspace not found: %s", a.workspace.text);
    if (e != OK)
        return cli_fail_err(cli, e, "reading the ledger");
    return is_one ? print_statement(cli, &a, &list[0]) : print_statements(cli, &a, list, n);
}
