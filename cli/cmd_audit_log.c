/* millrace audit-log: who changed what (lib/deed/deed.h). */
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/csv.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "deed/deed.h"

enum { STATEMENT_S = 60, LIST_DEFAULT = 20, LIST_MAX = 10000, PAGE = 1000, REMOVE_SLICE = 1000 };
static const int64_t DAY_MS = 86400000;
static const char lowest_id[] = "00000000-0000-0000-0000-000000000000",
                  highest_id[] = "ffffffff-ffff-ffff-ffff-ffffffffffff";

enum log_format { LOG_TABLE, LOG_CSV, LOG_JSONL };

struct log_filter {
    id workspace, from, before;
    const char *actor, *deed, *target;
    int64_t limit;
    enum log_format format;
};

/* --- rows --- */

static json_object *deed_json(const struct db_rows *rows, size_t i)
{
    json_object *o = json_object_new_object();
    cli_add_time(o, "at", db_int(rows, i, DEED_PAGE_AT_MS), true);
    cli_add_bytes(o, "actor_kind", db_cell(rows, i, DEED_PAGE_ACTOR_KIND));
    cli_add_bytes(o, "actor", db_cell(rows, i, DEED_PAGE_ACTOR));
    cli_add_bytes(o, "key_prefix", db_cell(rows, i, DEED_PAGE_KEY_PREFIX));
    cli_add_bytes(o, "deed", db_cell(rows, i, DEED_PAGE_DEED));
    cli_add_bytes(o, "target", db_cell(rows, i, DEED_PAGE_TARGET));
    cli_add_bytes(o, "workspace", db_cell(rows, i, DEED_PAGE_WORKSPACE));
    const char *detail = db_str(rows, i, DEED_PAGE_DETAIL);
    json_object_object_add(o, "detail", detail ? json_tokener_parse(detail) : NULL);
    cli_add_bytes(o, "origin", db_cell(rows, i, DEED_PAGE_ORIGIN));
    cli_add_bytes(o, "workspace_id", db_cell(rows, i, DEED_PAGE_WORKSPACE_ID));
    cli_add_bytes(o, "id", db_cell(rows, i, DEED_PAGE_ID));
    return o;
}

static enum err read_page(struct cli *cli, void *ctx, enum sql_id query, const struct log_filter *f,
                          int64_t limit, struct db_rows **rows_r)
{
    struct db_value workspace = id_is_set(&f->workspace) ? db_id(&f->workspace) : db_null(),
                    actor = db_text(f->actor), deed = db_text(f->deed), target = db_text(f->target);
    struct db_value args[] = {
        workspace,       workspace,         actor,           actor, deed, deed, target, target,
        db_id(&f->from), db_id(&f->before), db_number(limit)};
    return db_run(cli->db, ctx, query, args, sizeof args / sizeof args[0], rows_r);
}

static int print_list(struct cli *cli, const struct log_filter *f)
{
    struct db_rows *rows;
    enum err e = read_page(cli, cli->ctx, SQL_DEED_PAGE, f, f->limit, &rows);
    if (e != OK)
        return cli_fail_err(cli, e, "reading the audit log");
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < rows->count; i++)
        json_object_array_add(list, deed_json(rows, i));
    return cli_print(cli, list);
}

/* --- export: page by page, so that a log of any size fits into memory --- */

static const char csv_heading[] =
    "at,actor_kind,actor,key_prefix,deed,target,workspace,detail,origin,workspace_id,id";

static void print_csv_row(void *ctx, json_object *row)
{
    char *line = talloc_strdup(ctx, "");
    json_object_object_foreach(row, name, value)
    {
        bool is_text = json_object_is_type(value, json_type_string);
        const char *text = is_text ? json_object_get_string(value) : value ? json_text(value, NULL) : "";
        (void)name;
        line = csv_append_text(*line ? talloc_strdup_append_buffer(line, ",") : line, text, strlen(text));
    }
    printf("%s\r\n", line);
}

static int export_log(struct cli *cli, struct log_filter f)
{
    size_t n = PAGE;
    if (f.format == LOG_CSV)
        printf("%s\r\n", csv_heading);
    while (n == PAGE) {
        void *ctx = talloc_new(cli->ctx);
        struct db_rows *rows;
        enum err e = read_page(cli, ctx, SQL_DEED_EXPORT, &f, PAGE, &rows);
        if (e != OK)
            return cli_fail_err(cli, e, "reading the audit log");
        n = rows->count;
        for (size_t i = 0; i < n; i++) {
            json_object *row = json_own(ctx, deed_json(rows, i));
            if (f.format == LOG_CSV)
                print_csv_row(ctx, row);
            else
                puts(json_text(row, NULL));
        }
        if (n > 0)
            f.from = db_get_id(rows, n - 1, DEED_PAGE_ID);
        talloc_free(ctx);
    }
    return CLI_DONE;
}

/* --- retention --- */

struct removal {
    id before;
    int64_t removed;
    bool has_more;
};

/* Removes the rows in slices, and records how many in the last one. */
static enum err remove_expired_work(struct db_tx *tx, void *arg)
{
    struct removal *r = arg;
    struct db_value before = db_id(&r->before);
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_DEED_REMOVE, &before, 1, &rows);
    if (e != OK)
        return e;
    r->removed += (int64_t)rows->affected;
    r->has_more = rows->affected == REMOVE_SLICE;
    if (r->has_more || r->removed == 0)
        return OK;
    char until[CLOCK_TEXT_SIZE];
    const struct deed_detail detail[] = {{"rows", talloc_asprintf(tx->ctx, "%lld", (long long)r->removed)},
                                         {"until", clock_text_offset(id_ms(&r->before), until)},
                                         {0}};
    return deed_record(tx, "audit_log.remove_expired", NULL, "", detail);
}

static int remove_expired(struct cli *cli)
{
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    struct removal r = {.before = id_floor(clock_wall_ms() - cli->config->admin.audit_log_days * DAY_MS),
                        .has_more = true};
    enum err e = OK;
    while (e == OK && r.has_more)
        e = db_transaction(cli->db, remove_expired_work, &r);
    if (e != OK)
        return cli_fail_err(cli, e, "removing rows of the audit log");
    json_object *o = json_object_new_object();
    cli_add_number(o, "removed", r.removed);
    return cli_print(cli, o);
}

/* --- the command --- */

/* Parses a time into the lowest id of it. False after an error message. */
static bool parse_time(struct cli *cli, const char *option, const char *text, id *id_r)
{
    int64_t ms = text ? clock_parse(text) : 0;
    if (ms < 0) {
        cli_usage(cli, "%s must be a time such as 2026-11-27T10:30:00Z, or a date, not \"%s\"", option, text);
        return false;
    }
    if (text)
        *id_r = id_floor(ms);
    return true;
}

static bool parse_format(struct cli *cli, const char *text, enum log_format *format_r)
{
    static const char *const names[] = {"table", "csv", "jsonl"};
    *format_r = LOG_TABLE;
    for (int i = 0; text && i < 3; i++) {
        if (strcmp(names[i], text) == 0) {
            *format_r = (enum log_format)i;
            return true;
        }
    }
    if (text)
        cli_usage(cli, "--format must be table, csv or jsonl, not \"%s\"", text);
    return !text;
}

int cmd_audit_log(struct cli *cli, int argc, char **argv)
{
    struct log_filter f = {.limit = LIST_DEFAULT};
    const char *workspace = NULL, *from = NULL, *to = NULL, *before = NULL, *limit = NULL, *format = NULL;
    bool expired = false;
    const struct cli_option options[] = {{"workspace", .text_r = &workspace},
                                         {"actor", .text_r = &f.actor},
                                         {"deed", .text_r = &f.deed},
                                         {"target", .text_r = &f.target},
                                         {"from", .text_r = &from},
                                         {"to", .text_r = &to},
                                         {"before", .text_r = &before},
                                         {"limit", .text_r = &limit},
                                         {"format", .text_r = &format},
                                         {"remove-expired", .flag_r = &expired},
                                         {0}};
    id cursor;
    memcpy(f.from.text, lowest_id, sizeof lowest_id);
    memcpy(f.before.text, highest_id, sizeof highest_id);
    if (!cli_parse(cli, argc, argv, options, NULL, 0) || !parse_time(cli, "--from", from, &f.from) ||
        !parse_time(cli, "--to", to, &f.before) || !parse_format(cli, format, &f.format) ||
        (before && !cli_id(cli, "--before", before, &cursor)) ||
        (limit && !cli_number(cli, "--limit", limit, 1, LIST_MAX, &f.limit)))
        return CLI_USAGE;
    if (expired)
        return argc == 1 ? remove_expired(cli) : cli_usage(cli, "--remove-expired stands alone");
    if (f.format != LOG_TABLE && (limit || before))
        return cli_usage(cli, "an export has all rows; --limit and --before belong to the table");
    if (before && strcmp(cursor.text, f.before.text) < 0)
        f.before = cursor;
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    int code = cli_workspace_filter(cli, workspace, &f.workspace);
    if (code != CLI_DONE)
        return code;
    return f.format == LOG_TABLE ? print_list(cli, &f) : export_log(cli, f);
}
