#include "webhook/turn.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <talloc.h>

/* Waiting messages by workspace, in the order of the index. */
struct outbox {
    struct webhook_waiting *rows;
    size_t n;
    /* Rows that were read, and pages. */
    size_t read, pages;
};

static id number_id(unsigned a, unsigned b)
{
    char text[ID_LENGTH + 1];
    id i;
    snprintf(text, sizeof text, "%08x-0000-7000-8000-0000%08x", a, b);
    cr_assert(id_parse(text, ID_LENGTH, &i));
    return i;
}

/* The workspaces 1 … n have so many messages each. */
static struct outbox *new_outbox(void *ctx, const size_t *counts, size_t n)
{
    struct outbox *o = talloc_zero(ctx, struct outbox);
    for (size_t w = 0; w < n; w++) {
        o->rows = talloc_realloc(o, o->rows, struct webhook_waiting, o->n + counts[w]);
        for (size_t i = 0; i < counts[w]; i++)
            o->rows[o->n++] = (struct webhook_waiting){number_id((unsigned)w + 1, 0),
                                                       number_id((unsigned)w + 1, (unsigned)i)};
    }
    return o;
}

/* Reads a turn as lib/webhook/fanout.c does. */
static void read_turn(void *ctx, struct outbox *o, const id *after, struct webhook_turn *t)
{
    bool more = true;
    webhook_turn_begin(t, after);
    o->read = o->pages = 0;
    while (more) {
        size_t limit = webhook_turn_page(t), begin = 0;
        while (id_is_set(&t->after) && begin < o->n && id_compare(&o->rows[begin].workspace, &t->after) <= 0)
            begin++;
        size_t n = o->n - begin < limit ? o->n - begin : limit;
        o->read += n;
        o->pages++;
        more = webhook_turn_add(ctx, t, n > 0 ? &o->rows[begin] : NULL, n, limit);
        cr_assert_lt(o->pages, 100);
    }
}

static void count_choices(const struct webhook_turn *t, size_t counts_r[static WEBHOOK_TURN_WORKSPACES + 1])
{
    struct webhook_choice choices[WEBHOOK_FANOUT_MAX];
    size_t n = webhook_turn_choose(t, choices);
    for (size_t i = 0; i <= WEBHOOK_TURN_WORKSPACES; i++)
        counts_r[i] = 0;
    for (size_t i = 0; i < n; i++) {
        /* in turns, and the oldest messages of each workspace */
        cr_assert(i == 0 || choices[i].round >= choices[i - 1].round);
        cr_assert(id_equal(&choices[i].message, &t->list[choices[i].workspace].messages[choices[i].round]));
        cr_assert_eq(choices[i].round, counts_r[choices[i].workspace]++);
    }
}

static const id unset;

Test(turn, one_workspace_has_all_places)
{
    void *ctx = talloc_new(NULL);
    size_t waiting[] = {5000}, chosen[WEBHOOK_TURN_WORKSPACES + 1];
    struct outbox *o = new_outbox(ctx, waiting, 1);
    struct webhook_turn t;
    read_turn(ctx, o, &unset, &t);
    count_choices(&t, chosen);
    cr_assert_eq(t.n, 1);
    cr_assert_eq(chosen[0], WEBHOOK_FANOUT_MAX);
    cr_assert_eq(o->read, WEBHOOK_FANOUT_MAX);
    cr_assert(webhook_turn_may_have_more(&t, WEBHOOK_FANOUT_MAX));
    talloc_free(ctx);
}

Test(turn, nothing_waits)
{
    void *ctx = talloc_new(NULL);
    struct webhook_choice choices[WEBHOOK_FANOUT_MAX];
    struct outbox *o = new_outbox(ctx, NULL, 0);
    struct webhook_turn t;
    id after = number_id(7, 0);
    read_turn(ctx, o, &unset, &t);
    cr_assert_eq(o->pages, 1);
    read_turn(ctx, o, &after, &t);
    cr_assert_eq(o->pages, 2, "it wraps once");
    cr_assert_eq(webhook_turn_choose(&t, choices), 0);
    cr_assert_not(webhook_turn_may_have_more(&t, 0));
    talloc_free(ctx);
}

Test(turn, what_one_leaves_goes_to_the_others)
{
    void *ctx = talloc_new(NULL);
    static const size_t cases[][4] = {{3, 500, 500, 1}, {500, 3, 1, 500}, {500, 500, 3, 1}, {3, 1, 500, 500}};
    for (size_t c = 0; c < 4; c++) {
        size_t chosen[WEBHOOK_TURN_WORKSPACES + 1];
        struct outbox *o = new_outbox(ctx, cases[c], 4);
        struct webhook_turn t;
        read_turn(ctx, o, &unset, &t);
        count_choices(&t, chosen);
        cr_assert_eq(t.n, 4);
        for (size_t i = 0; i < 4; i++)
            cr_assert_eq(chosen[i], cases[c][i] == 500 ? 98 : cases[c][i], "case %zu, workspace %zu: %zu", c,
                         i, chosen[i]);
    }
    talloc_free(ctx);
}

Test(turn, turns_visit_all_workspaces_in_rotation)
{
    void *ctx = talloc_new(NULL);
    size_t waiting[100];
    bool seen[101] = {false};
    id after = unset;
    for (size_t i = 0; i < 100; i++)
        waiting[i] = i % 2 == 0 ? 300 : 2;
    struct outbox *o = new_outbox(ctx, waiting, 100);
    for (int turn = 0; turn < 4; turn++) {
        struct webhook_turn t;
        read_turn(ctx, o, &after, &t);
        cr_assert_eq(t.n, WEBHOOK_TURN_WORKSPACES);
        cr_assert(webhook_turn_may_have_more(&t, 1));
        cr_assert_leq(o->read, 1600, "%zu", o->read);
        cr_assert_leq(o->pages, 34, "%zu", o->pages);
        for (size_t i = 0; i < t.n; i++) {
            unsigned workspace;
            cr_assert_eq(sscanf(t.list[i].id.text, "%8x", &workspace), 1);
            seen[workspace] = true;
        }
        after = t.list[t.n - 1].id;
    }
    for (size_t i = 1; i <= 100; i++)
        cr_assert(seen[i], "workspace %zu had no turn", i);
    talloc_free(ctx);
}

Test(turn, no_workspace_is_taken_twice_in_a_turn)
{
    void *ctx = talloc_new(NULL);
    size_t waiting[] = {300, 1, 300}, chosen[WEBHOOK_TURN_WORKSPACES + 1];
    for (unsigned after = 0; after <= 4; after++) {
        struct outbox *o = new_outbox(ctx, waiting, 3);
        struct webhook_turn t;
        id begin = after == 0 ? unset : number_id(after, 0);
        read_turn(ctx, o, &begin, &t);
        count_choices(&t, chosen);
        cr_assert_eq(t.n, 3, "after %u: %zu", after, t.n);
        cr_assert_eq(chosen[0] + chosen[1] + chosen[2], WEBHOOK_FANOUT_MAX);
    }
    talloc_free(ctx);
}
