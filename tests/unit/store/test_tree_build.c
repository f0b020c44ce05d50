#include <criterion/criterion.h>
#include <talloc.h>

#include "store/tree_build.h"

/* Ids by a number, in its order. */
static id node(int n)
{
    return id_floor(n);
}

static struct tree_row edge(int parent, int child, int64_t credits)
{
    return (struct tree_row){.child = node(child), .parent = node(parent), .credits = credits};
}

static void expect_node(const struct tree_branch *b, int n, size_t depth, size_t first, size_t count,
                        int64_t credits)
{
    cr_expect_eq(id_ms(b->id), n);
    cr_expect_eq(b->depth, depth, "depth of %d", n);
    if (count > 0)
        cr_expect_eq(b->first, first, "children of %d", n);
    cr_expect_eq(b->count, count, "children of %d", n);
    cr_expect_eq(b->credits, credits, "credits of %d", n);
}

Test(tree_build, a_run_without_children_is_its_own_tree)
{
    void *ctx = talloc_new(NULL);
    id top = node(1);
    size_t n;
    struct tree_branch *list = tree_build(ctx, NULL, 0, &top, 5, &n);
    cr_assert_eq(n, 1);
    expect_node(&list[0], 1, 0, 0, 0, 5);
    talloc_free(ctx);
}

/* 1 -> (2 -> (4, 5), 3 -> 6) and 9 -> 10 elsewhere in the tree */
Test(tree_build, lists_breadth_first_and_adds_up)
{
    void *ctx = talloc_new(NULL);
    struct tree_row rows[] = {edge(2, 5, 50), edge(9, 10, 999), edge(1, 3, 30),
                              edge(3, 6, 60), edge(1, 2, 20),   edge(2, 4, 40)};
    id top = node(1);
    size_t n;
    struct tree_branch *list = tree_build(ctx, rows, 6, &top, 10, &n);
    cr_assert_eq(n, 6);
    expect_node(&list[0], 1, 0, 1, 2, 210);
    expect_node(&list[1], 2, 1, 3, 2, 110);
    expect_node(&list[2], 3, 1, 5, 1, 90);
    expect_node(&list[3], 4, 2, 0, 0, 40);
    expect_node(&list[4], 5, 2, 0, 0, 50);
    expect_node(&list[5], 6, 2, 0, 0, 60);
    talloc_free(ctx);
}

Test(tree_build, takes_only_what_is_below_the_top)
{
    void *ctx = talloc_new(NULL);
    struct tree_row rows[] = {edge(1, 2, 20), edge(1, 3, 30), edge(2, 4, 40)};
    id top = node(2);
    size_t n;
    struct tree_branch *list = tree_build(ctx, rows, 3, &top, 20, &n);
    cr_assert_eq(n, 2);
    expect_node(&list[0], 2, 0, 1, 1, 60);
    talloc_free(ctx);
}

Test(tree_build, shows_the_nearest_up_to_a_limit)
{
    void *ctx = talloc_new(NULL);
    struct tree_row rows[] = {edge(1, 2, 0), edge(1, 3, 0), edge(2, 4, 0), edge(2, 5, 0)};
    id top = node(1);
    size_t n;
    struct tree_branch *list = tree_build(ctx, rows, 4, &top, 0, &n);
    cr_expect_eq(tree_shown(list, n, 100, 16), 5);
    cr_expect_eq(tree_shown(list, n, 4, 16), 4);
    cr_expect_eq(tree_shown(list, n, 100, 2), 3, "without the level of depth 2");
    cr_expect_eq(tree_shown(list, n, 100, 0), 1, "always with the top");
    cr_expect_eq(tree_shown_children(&list[1], 5), 2);
    cr_expect_eq(tree_shown_children(&list[1], 4), 1);
    cr_expect_eq(tree_shown_children(&list[1], 3), 0);
    talloc_free(ctx);
}
