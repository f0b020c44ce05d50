#include "store/tree_build.h"

#include <stdlib.h>
#include <talloc.h>

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

/* It ends because each row has one parent and is listed at most once. */
struct tree_branch *tree_build(void *ctx, struct tree_row *rows, size_t rows_n, const id *top, int64_t own,
                               size_t *n_r)
{
    if (rows_n > 0)
        qsort(rows, rows_n, sizeof *rows, by_parent);
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

size_t tree_shown(const struct tree_branch *list, size_t n, size_t max, size_t depth_max)
{
    size_t shown = n < max ? n : max;
    while (shown > 1 && list[shown - 1].depth >= depth_max)
        shown--;
    return shown;
}

size_t tree_shown_children(const struct tree_branch *branch, size_t shown)
{
    if (branch->first + branch->count <= shown)
        return branch->count;
    return branch->first < shown ? shown - branch->first : 0;
}
