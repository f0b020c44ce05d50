#include "store/responder.h"

#include <talloc.h>

#include "mariadb/db.h"

enum err responder_names(struct db *db, void *ctx, enum responder_kind kind, const id *ids, size_t n,
                         struct responder_name **list_r, size_t *count_r)
{
    struct db_value *each = talloc_array(ctx, struct db_value, n + 1);
    for (size_t i = 0; i < n; i++)
        each[i] = db_id(&ids[i]);
    enum sql_id query = kind == KIND_SKILL ? SQL_SKILL_SLUGS : SQL_WORKFLOW_NAMES;
    struct db_rows *rows;
    enum err e = db_run_each(db, ctx, query, NULL, 0, each, 1, n, &rows);
    if (e != OK)
        return e;
    *count_r = rows->count;
    *list_r = talloc_array(ctx, struct responder_name, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++)
        (*list_r)[i] = (struct responder_name){db_get_id(rows, i, WORKFLOW_NAMES_ID),
                                               db_str(rows, i, WORKFLOW_NAMES_NAME)};
    return OK;
}
