#include "store/usage.h"

#include <stdlib.h>
#include <talloc.h>

#include "mariadb/db.h"

static const int64_t day_ms = 86400000;

enum err usage_read(struct db *db, void *ctx, const id *workspace, int64_t from_ms, int64_t to_ms,
                    enum usage_group group, struct usage_row **list_r, size_t *count_r)
{
    static const enum sql_id queries[] = {SQL_USAGE_BY_DAY, SQL_USAGE_BY_RESPONDER, SQL_USAGE_BY_KEY};
    id from = id_floor(from_ms), to = id_floor(to_ms);
    struct db_value args[] = {db_id(workspace),
                              db_id(&from),
                              db_id(&to),
                              db_id(workspace),
                              db_number(from_ms / day_ms),
                              db_number((to_ms + day_ms - 1) / day_ms)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, queries[group], args, sizeof args / sizeof args[0], &rows);
    if (e != OK)
        return e;
    struct usage_row *list = talloc_array(ctx, struct usage_row, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        list[i] = (struct usage_row){.runs = db_int(rows, i, USAGE_BY_DAY_RUNS),
                                     .debited = db_int(rows, i, USAGE_BY_DAY_DEBITED),
                                     .refunded = db_int(rows, i, USAGE_BY_DAY_REFUNDED)};
        if (group == USAGE_BY_DAY)
            list[i].day_ms = db_int(rows, i, USAGE_BY_DAY_GROUPED) * day_ms;
        else if (group == USAGE_BY_RESPONDER)
            list[i].responder_id = db_get_id(rows, i, USAGE_BY_DAY_GROUPED);
        else
            list[i].key_id = db_get_id(rows, i, USAGE_BY_DAY_GROUPED);
    }
    *list_r = list;
    *count_r = rows->count;
    return OK;
}

/* Reads "GRANT AMOUNT,GRANT AMOUNT" of the parts, or makes one part of the row's grant. */
static void read_parts(void *ctx, const struct db_rows *rows, size_t r, struct ledger_row *row)
{
    const char *text = db_str(rows, r, LEDGER_PAGE_PARTS);
    row->parts = talloc_array(ctx, struct grant_part, 1);
    if (id_is_set(&row->entry.grant_id)) {
        row->parts[row->parts_n++] =
            (struct grant_part){row->entry.id, row->entry.grant_id, row->entry.amount};
        return;
    }
    while (text && *text) {
        struct grant_part part = {.ledger_id = row->entry.id};
        char *end;
        if (!id_parse(text, ID_LENGTH, &part.grant_id))
            return;
        part.amount = strtoll(text + ID_LENGTH, &end, 10);
        row->parts = talloc_realloc(ctx, row->parts, struct grant_part, row->parts_n + 1);
        row->parts[row->parts_n++] = part;
        text = *end == ',' ? end + 1 : end;
    }
}

enum err ledger_page(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                     struct ledger_row **list_r, size_t *count_r)
{
    static const id highest = {"ffffffff-ffff-ffff-ffff-ffffffffffff"};
    struct db_value args[] = {db_id(workspace), db_id(id_is_set(after) ? after : &highest), db_number(limit)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_LEDGER_PAGE, args, 3, &rows);
    if (e != OK)
        return e;
    struct ledger_row *list = talloc_zero_array(ctx, struct ledger_row, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        list[i].entry = (struct ledger_entry){
            .workspace_id = *workspace,
            .id = db_get_id(rows, i, LEDGER_PAGE_ID),
            .kind = (enum ledger_kind)db_int(rows, i, LEDGER_PAGE_KIND),
            .amount = db_int(rows, i, LEDGER_PAGE_AMOUNT),
            .execution_id = db_get_id(rows, i, LEDGER_PAGE_EXECUTION_ID),
            .responder_id = db_get_id(rows, i, LEDGER_PAGE_RESPONDER_ID),
            .key_id = db_get_id(rows, i, LEDGER_PAGE_KEY_ID),
            .reason = db_str(rows, i, LEDGER_PAGE_REASON),
            .grant_id = db_get_id(rows, i, LEDGER_PAGE_GRANT_ID),
        };
        read_parts(ctx, rows, i, &list[i]);
    }
    *list_r = list;
    *count_r = rows->count;
    return OK;
}

const char *ledger_kind_name(enum ledger_kind kind)
{
    static const char *const names[] = {"grant", "debit", "refund", "expiry", "void", "release"};
    size_t i = (size_t)kind - LEDGER_GRANT;
    return i < sizeof names / sizeof names[0] ? names[i] : "unknown";
}
