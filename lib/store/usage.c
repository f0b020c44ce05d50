#include "store/usage.h"

#include <talloc.h>

#include "mariadb/store.h"

static const int64_t day_ms = 86400000;

static struct usage_row ledger_sums(const struct db_rows *rows, size_t i, size_t first)
{
    return (struct usage_row){.runs = db_int(rows, i, first),
                              .debited = db_int(rows, i, first + 1),
                              .refunded = db_int(rows, i, first + 2)};
}

enum err usage_read(struct db *db, void *ctx, const id *workspace, int64_t from_ms, int64_t to_ms,
                    enum usage_group group, struct usage_row **list_r, size_t *count_r)
{
    static const enum sql_id queries[] = {SQL_USAGE_BY_DAY, SQL_USAGE_BY_RESPONDER, SQL_USAGE_BY_KEY};
    id from = id_floor(from_ms), to = id_floor(to_ms);
    struct db_value args[] = {db_id(workspace), db_id(&from), db_id(&to)};
    struct db_rows *rows;
    enum err e = store_read(db, ctx, queries[group], args, 3, &rows);
    if (e != OK)
        return e;
    struct usage_row *list = talloc_array(ctx, struct usage_row, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        list[i] = ledger_sums(rows, i, 1);
        if (group == USAGE_BY_DAY)
            list[i].day_ms = db_int(rows, i, 0) * day_ms;
        else if (group == USAGE_BY_RESPONDER)
            list[i].responder_id = db_get_id(rows, i, 0);
        else
            list[i].key_id = db_get_id(rows, i, 0);
    }
    *list_r = list;
    *count_r = rows->count;
    return OK;
}

enum err usage_export(struct db *db, void *ctx, const id *workspace, int64_t from_ms, int64_t to_ms,
                      struct usage_row **list_r, size_t *count_r)
{
    id from = id_floor(from_ms), to = id_floor(to_ms);
    struct db_value one = workspace ? db_id(workspace) : db_null();
    struct db_value args[] = {db_id(&from), db_id(&to), one, one};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_USAGE_EXPORT, args, 4, &rows);
    if (e != OK)
        return e;
    struct usage_row *list = talloc_array(ctx, struct usage_row, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        list[i] = ledger_sums(rows, i, 5);
        list[i].workspace_id = db_get_id(rows, i, 0);
        list[i].workspace = db_cell(rows, i, 1);
        list[i].day_ms = db_int(rows, i, 2) * day_ms;
        list[i].responder_id = db_get_id(rows, i, 3);
        list[i].key_id = db_get_id(rows, i, 4);
    }
    *list_r = list;
    *count_r = rows->count;
    return OK;
}

enum err ledger_page(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                     struct ledger_entry **list_r, size_t *count_r)
{
    static const id highest = {"ffffffff-ffff-ffff-ffff-ffffffffffff"};
    struct db_value args[] = {db_id(workspace), db_id(id_is_set(after) ? after : &highest), db_number(limit)};
    struct db_rows *rows;
    enum err e = store_read(db, ctx, SQL_LEDGER_PAGE, args, 3, &rows);
    if (e != OK)
        return e;
    struct ledger_entry *list = talloc_array(ctx, struct ledger_entry, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        list[i] = (struct ledger_entry){
            .workspace_id = *workspace,
            .id = db_get_id(rows, i, 0),
            .kind = (enum ledger_kind)db_int(rows, i, 1),
            .amount = db_int(rows, i, 2),
            .execution_id = db_get_id(rows, i, 3),
            .responder_id = db_get_id(rows, i, 4),
            .key_id = db_get_id(rows, i, 5),
            .reason = db_str(rows, i, 6),
        };
    }
    *list_r = list;
    *count_r = rows->count;
    return OK;
}

const char *ledger_kind_name(enum ledger_kind kind)
{
    return kind == LEDGER_GRANT ? "grant" : kind == LEDGER_DEBIT ? "debit" : "refund";
}
