#include "store/execution_tree.h"

#include <stdlib.h>
#include <talloc.h>

#include "mariadb/db.h"
#include "run/accept_types.h"

/* A row of execution_tree_rows. */
struct tree_row {
    id child, parent;
    int64_t credits;
};

/* An execution of the tree. They are listed breadth-first, beginning with the top. */
struct tree_branch {
    const id *id;
    size_t parent, depth;
    /* Its children in the list. */
    size_t first, count;
    /* What it cost, to which that of its descendants is added. */
    int64_t credits;
};

/* By parent, then by child. */
static int by_parent(const void *a, const void *b)
{
    const struct tree_row *x = a, *y = b;
    int order = id_compare(&x->parent, &y->parent);
    return order ? order : id_compare(&x->child, &y->child);
}

/* The index of the first row of a parent; `n` if it has none. */
static size_t rows_of(const struct tree_row *rows, size_t n, const id *parent)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (id_compare(&rows[middle].parent, parent) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && id_equal(&rows[low].parent, parent) ? low : n;
}

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
    qsort(rows, found->count, sizeof *rows, by_parent);
    *rows_r = rows;
    *n_r = found->count;
    return OK;
}

/* Lists `top` and its descendants. It ends because each row has one parent and is listed at most once. */
static struct tree_branch *build_tree(void *ctx, const struct tree_row *rows, size_t rows_n, const id *top,
                                      int64_t own, size_t *n_r)
{
    struct tree_branch *list = talloc_array(ctx, struct tree_branch, rows_n + 1);
    size_t n = 1;
    list[0] = (struct tree_branch){.id = top, .credits = own};
    for (size_t i = 0; i < n; i++) {
        size_t r = rows_of(rows, rows_n, list[i].id);
        list[i].first = n;
        for (; r < rows_n && id_equal(&rows[r].parent, list[i].id) && n <= rows_n; r++)
            list[n++] = (struct tree_branch){
                .id = &rows[r].child, .parent = i, .depth = list[i].depth + 1, .credits = rows[r].credits};
        list[i].count = n - list[i].first;
    }
    for (size_t i = n; i-- > 1;)
        list[list[i].parent].credits += list[i].credits;
    *n_r = n;
    return list;
}

enum err execution_tree_credits(struct db *db, const id *root, const id *top, int64_t own, int64_t *micro_r)
{
    void *scratch = talloc_new(NULL);
    struct tree_row *rows;
    size_t rows_n, n;
    enum err e = read_rows(db, scratch, root, &rows, &rows_n);
    if (e == OK)
        *micro_r = build_tree(scratch, rows, rows_n, top, own, &n)->credits;
    talloc_free(scratch);
    return e;
}

/* Reads the executions of the tree that are shown. */
static enum err read_shown_nodes(struct db *db, void *ctx, const id *workspace, const struct execution *top,
                                 const struct tree_branch *list, size_t n,
                                 struct execution_tree_node **nodes_r, size_t *count_r)
{
    size_t shown = n < EXECUTION_TREE_SHOWN_MAX ? n : EXECUTION_TREE_SHOWN_MAX;
    while (shown > 1 && list[shown - 1].depth >= TREE_DEPTH_MAX)
        shown--;
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
        size_t end = list[i].first + list[i].count;
        node->execution = *x;
        node->execution.total_credits = list[i].credits;
        node->execution.has_total = true;
        node->first = list[i].first;
        node->count = end <= shown ? list[i].count : list[i].first < shown ? shown - list[i].first : 0;
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
    struct tree_branch *list = build_tree(ctx, rows, rows_n, top, x.cost - x.refunded, &n);
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
