#include "store/error_group.h"

#include <talloc.h>

#include "mariadb/db.h"

/* Of the text of the query: a digit and an id for each. */
static void read_responders(const struct db_cell *cell, struct error_group *g)
{
    const size_t each = 1 + ID_LENGTH;
    for (size_t at = 0; at + each <= cell->size && g->listed_n < ERROR_GROUP_RESPONDERS_MAX; at += each) {
        struct execution *one = &g->responders[g->listed_n];
        one->kind = (enum responder_kind)(cell->text[at] - '0');
        if (id_parse(cell->text + at + 1, ID_LENGTH, &one->responder_id))
            g->listed_n++;
    }
}

static void read_group(const struct db_rows *rows, size_t r, struct error_group *g)
{
    *g = (struct error_group){
        .hash = db_int(rows, r, ERROR_GROUPS_HASH),
        .count = db_int(rows, r, ERROR_GROUPS_N),
        .first_ms = db_int(rows, r, ERROR_GROUPS_FIRST_MS),
        .last_ms = db_int(rows, r, ERROR_GROUPS_LAST_MS),
        .newest = db_get_id(rows, r, ERROR_GROUPS_NEWEST_ID),
        .reason = (enum failure_reason)db_int(rows, r, ERROR_GROUPS_REASON),
        .step = db_str(rows, r, ERROR_GROUPS_STEP),
        .responders_n = db_int(rows, r, ERROR_GROUPS_RESPONDERS_N),
    };
    read_responders(db_cell(rows, r, ERROR_GROUPS_RESPONDERS), g);
}

enum err error_groups_read(struct db *db, void *ctx, const id *workspace, int64_t limit,
                           struct error_group **list_r, size_t *count_r, int64_t *considered_r)
{
    struct db_value args[] = {db_id(workspace), db_number(limit)};
    struct db_rows *rows, *counted;
    enum err e = db_run(db, ctx, SQL_FAILURES_COUNT, args, 1, &counted);
    if (e == OK)
        e = db_run(db, ctx, SQL_ERROR_GROUPS, args, 2, &rows);
    if (e != OK)
        return e;
    *considered_r = db_int(counted, 0, FAILURES_COUNT_N);
    *count_r = rows->count;
    *list_r = talloc_array(ctx, struct error_group, rows->count + 1);
    for (size_t r = 0; r < rows->count; r++)
        read_group(rows, r, &(*list_r)[r]);
    return OK;
}
