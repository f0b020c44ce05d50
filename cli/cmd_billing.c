#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/clock.h"
#include "cli/commands.h"
#include "store/usage.h"

enum { STATEMENT_S = 600 };

struct billing_total {
    int64_t runs, debited, refunded;
};

/* Parses "2026-11" into the first millisecond of that month and of the next one. */
static bool read_month(const char *text, int64_t *from_ms_r, int64_t *to_ms_r)
{
    char day[16];
    int year, month;
    if (strlen(text) != 7 || text[4] != '-' || sscanf(text, "%4d-%2d", &year, &month) != 2 || month < 1 ||
        month > 12)
        return false;
    snprintf(day, sizeof day, "%04d-%02d-01", year, month);
    *from_ms_r = clock_parse(day);
    snprintf(day, sizeof day, "%04d-%02d-01", month == 12 ? year + 1 : year, month % 12 + 1);
    *to_ms_r = clock_parse(day);
    return *from_ms_r >= 0 && *to_ms_r > *from_ms_r;
}

static const char *day_text(int64_t ms, char out[CLOCK_TEXT_SIZE])
{
    clock_text_z(ms, out);
    out[strlen("2026-11-22")] = '\0';
    return out;
}

/* RFC 4180: quotes a field only if necessary. An empty field is quoted. */
static void print_csv_field(const struct db_cell *cell)
{
    bool quoted = cell->size == 0 || strcspn(cell->text, "\",\r\n") < cell->size;
    if (quoted)
        putchar('"');
    for (size_t i = 0; i < cell->size; i++) {
        if (cell->text[i] == '"')
            putchar('"');
        putchar(cell->text[i]);
    }
    if (quoted)
        putchar('"');
}

static int print_billing_csv(const struct usage_row *list, size_t n)
{
    printf("workspace_id,workspace,day,responder_id,key_id,runs,debited,refunded,used\r\n");
    for (size_t i = 0; i < n; i++) {
        const struct usage_row *row = &list[i];
        char day[CLOCK_TEXT_SIZE], debited[CREDITS_TEXT_SIZE], refunded[CREDITS_TEXT_SIZE],
            used[CREDITS_TEXT_SIZE];
        printf("%s,", row->workspace_id.text);
        print_csv_field(row->workspace);
        printf(",%s,%s,%s,%lld,%s,%s,%s\r\n", day_text(row->day_ms, day), row->responder_id.text,
               row->key_id.text, (long long)row->runs, credits_text(row->debited, debited),
               credits_text(row->refunded, refunded), credits_text(row->debited - row->refunded, used));
    }
    return CLI_DONE;
}

static void add_sums(json_object *o, int64_t runs, int64_t debited, int64_t refunded)
{
    cli_add_number(o, "runs", runs);
    cli_add_credits(o, "debited", debited);
    cli_add_credits(o, "refunded", refunded);
    cli_add_credits(o, "used", debited - refunded);
}

static int print_billing_json(const char *month, const struct usage_row *list, size_t n)
{
    struct billing_total total = {0};
    char day[CLOCK_TEXT_SIZE];
    json_object *o = json_object_new_object(), *rows = json_object_new_array(),
                *sums = json_object_new_object();
    for (size_t i = 0; i < n; i++) {
        const struct usage_row *row = &list[i];
        json_object *entry = json_object_new_object();
        cli_add_text(entry, "workspace_id", row->workspace_id.text);
        cli_add_bytes(entry, "workspace", row->workspace);
        cli_add_text(entry, "day", day_text(row->day_ms, day));
        cli_add_text(entry, "responder_id", id_is_set(&row->responder_id) ? row->responder_id.text : NULL);
        cli_add_text(entry, "key_id", id_is_set(&row->key_id) ? row->key_id.text : NULL);
        add_sums(entry, row->runs, row->debited, row->refunded);
        json_object_array_add(rows, entry);
        total.runs += row->runs;
        total.debited += row->debited;
        total.refunded += row->refunded;
    }
    add_sums(sums, total.runs, total.debited, total.refunded);
    cli_add_text(o, "month", month);
    json_object_object_add(o, "rows", rows);
    json_object_object_add(o, "total", sums);
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
    return CLI_DONE;
}

int cmd_billing_export(struct cli *cli, int argc, char **argv)
{
    const char *month = NULL, *format = NULL, *text = NULL;
    const struct cli_option options[] = {{"month", .text_r = &month, .required = true},
                                         {"format", .text_r = &format},
                                         {"workspace", .text_r = &text},
                                         {0}};
    id workspace;
    int64_t from_ms, to_ms;
    if (!cli_parse(cli, argc, argv, options, NULL, 0) ||
        (text && !cli_id(cli, "--workspace", text, &workspace)))
        return CLI_USAGE;
    if (!read_month(month, &from_ms, &to_ms))
        return cli_usage(cli, "--month must be YYYY-MM");
    bool csv = !format || strcmp(format, "csv") == 0;
    if (!csv && strcmp(format, "json") != 0)
        return cli_usage(cli, "--format must be csv or json");
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    struct usage_row *list;
    size_t n;
    enum err e = usage_export(cli->db, cli->ctx, text ? &workspace : NULL, from_ms, to_ms, &list, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "reading the ledger");
    return csv ? print_billing_csv(list, n) : print_billing_json(month, list, n);
}
