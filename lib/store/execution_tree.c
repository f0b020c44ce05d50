#include "store/execution_tree.h"

#include <talloc.h>

#include "mariadb/db.h"
#include "run/accept_types.h"
#include "store/tree_build.h"

static enum err read_rows(struct db *db, void *ctx, const id *root, struct tree_row **rows_r, size_t *n_r)
{
    struct db_value arg = db_id(root);
    struct db_rows *found;
    enum err e = db_run(db, ctx, SQL_EXECUTION_TREE_ROWS, &arg, 1, &found);
    if (e != OK)
        return e;
    struct tree_row *rows = talloc_array(ctx, struct tree_row, found->count + 1);
    for (size_t i = 0; i < found->count; i++)
        rows[i] = (struct tree_row){db_get_id(found, i, EXECUTION_TREE_ROWS_CHILD_ID),
                                    db_get_id(found, i, EXECUTION_TREE_ROWS_PARENT_ID),
                                    db_int(found, i, EXECUTION_TREE_ROWS_NET_COST)};
    *rows_r = rows;
    *n_r = found->count;
    return OK;
}

enum err execution_tree_credits(struct db *db, const id *root, const id *top, int64_t own, int64_t *micro_r)
{
    void *scratch = talloc_new(NULL);
    struct tree_row *rows;
    size_t rows_n, n;
    enum err e = read_rows(db, scratch, root, &rows, &rows_n);
    if (e == OK)
        *micro_r = tree_build(scratch, rows, rows_n, top, own, &n)->credits;
    talloc_free(scratch);
    return e;
}

/* Reads the executions of the tree that are shown. */
static enum err read_shown_nodes(struct db *db, void *ctx, const id *workspace, const struct execution *top,
                                 const struct tree_branch *list, size_t n,
                                 struct execution_tree_node **nodes_r, size_t *count_r)
{
    size_t shown = tree_shown(list, n, EXECUTION_TREE_SHOWN_MAX, TREE_DEPTH_MAX);
    id *ids = talloc_array(ctx, id, shown);
    for (size_t i = 1; i < shown; i++)
        ids[i - 1] = *list[i].id;
    struct execution *found;
    size_t found_n;
    enum err e = execution_get_all(db, ctx, workspace, ids, shown - 1, &found, &found_n);
    if (e != OK)
        return e;
    struct execution_tree_node *nodes = talloc_zero_array(ctx, struct execution_tree_node, shown);
    for (size_t i = 0; i < shown; i++) {
        struct execution_tree_node *node = &nodes[i];
        const struct execution *x = i == 0 ? top : execution_find(found, found_n, list[i].id);
        if (!x) /* removed since the tree was read */
            return ERR_RETRY;
        node->execution = *x;
        node->execution.total_credits = list[i].credits;
        node->execution.has_total = true;
        node->first = list[i].first;
        node->count = tree_shown_children(&list[i], shown);
        node->truncated = node->count < list[i].count;
    }
    *nodes_r = nodes;
    *count_r = shown;
    return OK;
}

enum err execution_tree_read(struct db *db, void *ctx, const id *workspace, const id *top,
                             struct execution_tree_node **nodes_r, size_t *count_r)
{
    struct execution x;
    struct tree_row *rows;
    size_t rows_n, n;
    enum err e = execution_get(db, ctx, workspace, top, &x);
    if (e == OK)
        e = read_rows(db, ctx, &x.root_id, &rows, &rows_n);
    if (e != OK)
        return e;
    struct tree_branch *list = tree_build(ctx, rows, rows_n, top, x.cost - x.refunded, &n);
    return read_shown_nodes(db, ctx, workspace, &x, list, n, nodes_r, count_r);
}

enum err execution_tree_by_message(struct db *db, void *ctx, const id *workspace, const id *message,
                                   id *execution_r)
{
    struct db_value args[] = {db_id(workspace), db_id(message)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_EXECUTION_TREE_BY_MESSAGE, args, 2, &rows);
    if (e == OK && rows->count == 0)
        return ERR_NOT_FOUND;
    if (e == OK)
        *execution_r = db_get_id(rows, 0, EXECUTION_TREE_BY_MESSAGE_EXECUTION_ID);
    return e;
}
