#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/csv.h"
#include "cli/commands.h"
#include "cli/month.h"
#include "cli/names.h"
#include "store/usage.h"

enum { STATEMENT_S = 600 };

/* What the rows of an export are summed by, beside the workspace. */
enum grouping { BY_ALL, BY_WORKSPACE, BY_RESPONDER, BY_KEY, BY_DAY };
static const char *const grouping_names[] = {NULL, "workspace", "responder", "key", "day"};
enum { GROUPINGS = sizeof grouping_names / sizeof grouping_names[0] };

enum format { FORMAT_TABLE, FORMAT_CSV, FORMAT_JSON };
static const char *const format_names[] = {"table", "csv", "json"};

struct billing_arguments {
    const char *month;
    int64_t from_ms, to_ms;
    /* not set: all workspaces */
    id workspace;
    enum grouping by;
    enum format format;
};

/* --- sums --- */

static bool shows(enum grouping by, enum grouping column)
{
    return by == BY_ALL || by == column;
}

/* Removes what the rows are not grouped by, so that equal groups are equal. */
static void reduce(struct usage_row *list, size_t n, enum grouping by)
{
    static const struct db_cell none = {.is_null = true};
    for (size_t i = 0; i < n; i++) {
        if (!shows(by, BY_DAY))
            list[i].day_ms = 0;
        if (!shows(by, BY_RESPONDER)) {
            list[i].responder_id = (id){{0}};
            list[i].responder = &none;
        }
        if (!shows(by, BY_KEY)) {
            list[i].key_id = (id){{0}};
            list[i].key_prefix = &none;
        }
    }
}

static int compare_groups(const void *a, const void *b)
{
    const struct usage_row *x = a, *y = b;
    int order = strcmp(x->workspace_id.text, y->workspace_id.text);
    if (order == 0)
        order = (x->day_ms > y->day_ms) - (x->day_ms < y->day_ms);
    if (order == 0)
        order = strcmp(x->responder_id.text, y->responder_id.text);
    return order ? order : strcmp(x->key_id.text, y->key_id.text);
}

/* Sums the rows of each group in place. Returns the number of groups. */
static size_t sum_groups(struct usage_row *list, size_t n, enum grouping by)
{
    size_t groups = 0;
    reduce(list, n, by);
    qsort(list, n, sizeof *list, compare_groups);
    for (size_t i = 0; i < n; i++) {
        if (groups > 0 && compare_groups(&list[groups - 1], &list[i]) == 0) {
            list[groups - 1].runs += list[i].runs;
            list[groups - 1].debited += list[i].debited;
            list[groups - 1].refunded += list[i].refunded;
        } else {
            list[groups++] = list[i];
        }
    }
    return groups;
}

/* --- output: every format prints the members of the same objects --- */

static void add_sums(json_object *o, int64_t runs, int64_t debited, int64_t refunded)
{
    cli_add_number(o, "runs", runs);
    cli_add_credits(o, "debited", debited);
    cli_add_credits(o, "refunded", refunded);
    cli_add_credits(o, "used", debited - refunded);
}

static json_object *usage_json(const struct usage_row *row, enum grouping by)
{
    char day[CLOCK_TEXT_SIZE];
    json_object *o = json_object_new_object();
    cli_add_text(o, "workspace_id", row->workspace_id.text);
    cli_add_bytes(o, "workspace", row->workspace);
    if (shows(by, BY_DAY))
        cli_add_text(o, "day", day_text(row->day_ms, day));
    if (shows(by, BY_RESPONDER)) {
        cli_add_text(o, "responder_id", id_is_set(&row->responder_id) ? row->responder_id.text : NULL);
        cli_add_bytes(o, "responder", row->responder);
    }
    if (shows(by, BY_KEY)) {
        cli_add_text(o, "key_id", id_is_set(&row->key_id) ? row->key_id.text : NULL);
        cli_add_bytes(o, "key_prefix", row->key_prefix);
    }
    add_sums(o, row->runs, row->debited, row->refunded);
    return o;
}

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

static json_object *usage_rows(struct usage_row *list, size_t n, enum grouping by, struct usage_row *total)
{
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++) {
        json_object_array_add(rows, usage_json(&list[i], by));
        total->runs += list[i].runs;
        total->debited += list[i].debited;
        total->refunded += list[i].refunded;
    }
    return rows;
}

static int print_export(struct cli *cli, const struct billing_arguments *a, struct usage_row *list, size_t n)
{
    static const struct db_cell none = {.is_null = true};
    const struct usage_row sample = {.workspace = &none, .responder = &none, .key_prefix = &none};
    struct usage_row total = {0};
    json_object *rows = usage_rows(list, n, a->by, &total);
    if (a->format == FORMAT_CSV)
        return print_csv(cli, rows, usage_json(&sample, a->by));
    if (a->format == FORMAT_TABLE)
        return cli_print(cli, rows);
    json_object *o = json_object_new_object(), *sums = json_object_new_object();
    add_sums(sums, total.runs, total.debited, total.refunded);
    cli_add_text(o, "month", a->month);
    json_object_object_add(o, "rows", rows);
    json_object_object_add(o, "total", sums);
    cli->json = true;
    return cli_print(cli, o);
}

/* --- arguments --- */

static bool find_word(struct cli *cli, const char *option, const char *text, const char *const *words, int n,
                      const char *list, int *found_r)
{
    for (int i = 0; i < n; i++) {
        if (words[i] && text && strcmp(words[i], text) == 0) {
            *found_r = i;
            return true;
        }
    }
    if (text)
        cli_usage(cli, "%s must be %s, not \"%s\"", option, list, text);
    return text == NULL;
}

/* Parses the options that both commands have, and opens MariaDB. */
static int read_arguments(struct cli *cli, int argc, char **argv, enum format preset,
                          struct billing_arguments *a)
{
    const char *workspace = NULL, *by = NULL, *format_text = NULL;
    const struct cli_option options[] = {{"month", .text_r = &a->month, .required = true},
                                         {"workspace", .text_r = &workspace},
                                         {"by", .text_r = &by},
                                         {"format", .text_r = &format_text},
                                         {0}};
    int grouping = BY_ALL, format = cli->json ? FORMAT_JSON : preset;
    if (!cli_parse(cli, argc, argv, options, NULL, 0) ||
        !find_word(cli, "--by", by, grouping_names, GROUPINGS, "workspace, responder, key or day",
                   &grouping) ||
        !find_word(cli, "--format", format_text, format_names, 3, "table, csv or json", &format))
        return CLI_USAGE;
    if (!month_parse(a->month, &a->from_ms, &a->to_ms))
        return cli_usage(cli, "--month must be YYYY-MM, not \"%s\"", a->month);
    a->by = (enum grouping)grouping;
    a->format = (enum format)format;
    return cli_open(cli, STATEMENT_S) ? cli_workspace_filter(cli, workspace, &a->workspace) : CLI_FAILED;
}

static enum err read_usage(struct cli *cli, const struct billing_arguments *a, struct usage_row **list_r,
                           size_t *n_r)
{
    const id *workspace = id_is_set(&a->workspace) ? &a->workspace : NULL;
    enum err e = usage_export(cli->db, cli->ctx, workspace, a->from_ms, a->to_ms, list_r, n_r);
    if (e == OK && a->by != BY_ALL)
        *n_r = sum_groups(*list_r, *n_r, a->by);
    return e;
}

int cmd_billing_export(struct cli *cli, int argc, char **argv)
{
    struct billing_arguments a = {0};
    struct usage_row *list;
    size_t n;
    int code = read_arguments(cli, argc, argv, FORMAT_CSV, &a);
    if (code != CLI_DONE)
        return code;
    enum err e = read_usage(cli, &a, &list, &n);
    return e == OK ? print_export(cli, &a, list, n) : cli_fail_err(cli, e, "reading the ledger");
}

/* --- statements --- */

static json_object *statement_json(const struct statement *s, const char *month)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "workspace_id", s->workspace_id.text);
    cli_add_bytes(o, "workspace", s->workspace);
    cli_add_text(o, "month", month);
    cli_add_credits(o, "opening", s->opening);
    cli_add_credits(o, "grants", s->grants);
    cli_add_credits(o, "usage", s->used);
    cli_add_credits(o, "refunds", s->refunds);
    cli_add_credits(o, "expired", s->expired);
    cli_add_credits(o, "voided", s->voided);
    cli_add_credits(o, "closing", s->closing);
    cli_add_number(o, "runs", s->runs);
    return o;
}

static int print_statements(struct cli *cli, const struct billing_arguments *a, const struct statement *list,
                            size_t n, json_object *lines)
{
    static const struct db_cell none = {.is_null = true};
    const struct statement sample = {.workspace = &none};
    bool is_one = id_is_set(&a->workspace);
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(rows, statement_json(&list[i], a->month));
    if (a->format == FORMAT_CSV) {
        json_object_put(lines);
        return print_csv(cli, rows, statement_json(&sample, a->month));
    }
    cli->json = a->format == FORMAT_JSON;
    if (!is_one)
        return cli_print(cli, rows);
    json_object *o = json_object_get(json_object_array_get_idx(rows, 0));
    json_object_put(rows);
    if (lines)
        json_object_object_add(o, "lines", lines);
    return cli_print(cli, o);
}

int cmd_billing_statement(struct cli *cli, int argc, char **argv)
{
    struct billing_arguments a = {0};
    struct statement *list;
    struct usage_row *usage, total = {0};
    json_object *lines = NULL;
    size_t n, usage_n;
    int code = read_arguments(cli, argc, argv, FORMAT_TABLE, &a);
    if (code != CLI_DONE)
        return code;
    bool is_one = id_is_set(&a.workspace);
    if (a.by != BY_ALL && (!is_one || a.format == FORMAT_CSV))
        return cli_usage(
            cli, "--by needs --workspace and --format table or json; for CSV use billing export --by");
    enum err e =
        statement_read(cli->db, cli->ctx, is_one ? &a.workspace : NULL, a.from_ms, a.to_ms, &list, &n);
    if (e == OK && is_one && n == 0)
        return cli_fail(cli, "workspace not found: %s", a.workspace.text);
    if (e == OK && a.by != BY_ALL)
        e = read_usage(cli, &a, &usage, &usage_n);
    if (e != OK)
        return cli_fail_err(cli, e, "reading the ledger");
    if (a.by != BY_ALL)
        lines = usage_rows(usage, usage_n, a.by, &total);
    return print_statements(cli, &a, list, n, lines);
}
