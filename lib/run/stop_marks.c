#include "run/stop_marks.h"

#include <string.h>
#include <talloc.h>

/* More than the depth of a tree: only a broken tree has a longer way up. */
enum { ANCESTORS_MAX = 32 };

enum err stop_marks_read(struct db *db, void *ctx, const id *roots, size_t n, struct stop_marks *marks_r)
{
    struct db_value *values = talloc_array(ctx, struct db_value, n + 1);
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&roots[i]);
    return db_run_each(db, ctx, SQL_STOPS_OF_ROOTS, NULL, 0, values, 1, n, &marks_r->rows);
}

/* True if the row's column, an id, is `wanted`. */
static bool any_row_has(const struct stop_marks *marks, size_t column, const id *wanted)
{
    for (size_t r = 0; r < marks->rows->count; r++) {
        if (strcmp(db_str(marks->rows, r, column), wanted->text) == 0)
            return true;
    }
    return false;
}

enum err stop_marks_cover(struct db *db, void *ctx, const struct stop_marks *marks, const id *root,
                          const id *run, bool *covered_r)
{
    id at = *run;
    *covered_r = false;
    if (!any_row_has(marks, STOPS_OF_ROOTS_ROOT_ID, root))
        return OK;
    for (int i = 0; i < ANCESTORS_MAX; i++) {
        struct db_value args[] = {db_id(root), db_id(&at)};
        struct db_rows *rows;
        *covered_r = any_row_has(marks, STOPS_OF_ROOTS_EXECUTION_ID, &at);
        if (*covered_r || id_equal(&at, root))
            return OK;
        enum err e = db_run(db, ctx, SQL_EXECUTION_PARENT, args, 2, &rows);
        if (e != OK || rows->count == 0)
            return e;
        at = db_get_id(rows, 0, EXECUTION_PARENT_PARENT_ID);
    }
    return OK;
}
