#include "webhook/turn.h"

#include <string.h>
#include <talloc.h>

void webhook_turn_begin(struct webhook_turn *t, const id *after)
{
    *t = (struct webhook_turn){.after = *after, .wraps = id_is_set(after)};
}

/* The share of one more workspace that has as many messages as it can give. */
size_t webhook_turn_page(const struct webhook_turn *t)
{
    size_t share = 0;
    for (size_t given = 0; given < WEBHOOK_FANOUT_MAX; share++) {
        given++;
        for (size_t i = 0; i < t->n; i++)
            given += share < t->list[i].n;
    }
    return share;
}

static bool has_workspace(const struct webhook_turn *t, const id *workspace)
{
    for (size_t i = 0; i < t->n; i++) {
        if (id_equal(&t->list[i].id, workspace))
            return true;
    }
    return false;
}

static void add_workspace(void *ctx, struct webhook_turn *t, const struct webhook_waiting *rows, size_t n)
{
    struct webhook_turn_workspace *w = &t->list[t->n++];
    *w = (struct webhook_turn_workspace){rows[0].workspace, talloc_array(ctx, id, n), n};
    for (size_t i = 0; i < n; i++)
        w->messages[i] = rows[i].message;
    t->after = w->id;
}

bool webhook_turn_add(void *ctx, struct webhook_turn *t, const struct webhook_waiting *rows, size_t n,
                      size_t limit)
{
    size_t begin = 0;
    while (begin < n) {
        size_t end = begin + 1;
        while (end < n && id_equal(&rows[end].workspace, &rows[begin].workspace))
            end++;
        if (t->n == WEBHOOK_TURN_WORKSPACES || has_workspace(t, &rows[begin].workspace))
            return false;
        if (end == n && n == limit && begin > 0) /* it may be cut: the next page begins with it */
            return true;
        add_workspace(ctx, t, &rows[begin], end - begin);
        begin = end;
    }
    if (n == limit)
        return t->n < WEBHOOK_TURN_WORKSPACES;
    bool wraps = t->wraps;
    t->wraps = false;
    memset(&t->after, 0, sizeof t->after);
    return wraps && t->n < WEBHOOK_TURN_WORKSPACES;
}

size_t webhook_turn_choose(const struct webhook_turn *t,
                           struct webhook_choice choices_r[static WEBHOOK_FANOUT_MAX])
{
    size_t n = 0, before;
    size_t round = 0;
    do {
        before = n;
        for (size_t i = 0; i < t->n && n < WEBHOOK_FANOUT_MAX; i++) {
            if (round < t->list[i].n)
                choices_r[n++] = (struct webhook_choice){t->list[i].messages[round], i, round};
        }
        round++;
    } while (n > before);
    return n;
}

bool webhook_turn_may_have_more(const struct webhook_turn *t, size_t chosen)
{
    return chosen == WEBHOOK_FANOUT_MAX || t->n == WEBHOOK_TURN_WORKSPACES;
}
