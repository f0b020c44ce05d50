/* Price lists as they are stored and shown. lib/spending/price_list.h says what they are. */
#pragma once

#include "spending/price_list.h"

/* Lists of a workspace that are in force or to come. */
enum { PRICE_LISTS_MAX = 200 };

/* Adds a list, under the account's lock; records a deed. `id` is the caller's, the same in every attempt.
 * effective_ms 0: at once. A list that is to come at the same time for the same target is replaced.
 * ERR_NOT_FOUND: no such workspace. ERR_INVALID: it has no such workflow or skill. ERR_CONFLICT: the time has
 * passed. ERR_LIMIT: the workspace would have more than PRICE_LISTS_MAX lists. */
enum err price_list_set(struct db *db, struct price_list *list) WARN_UNUSED;

struct shown_price_list {
    struct price_list list;
    bool in_force;
};
/* The lists of a workspace that are in force or to come, or all, by responder, model and time; on ctx. */
enum err price_lists_shown(struct db *db, void *ctx, const id *workspace, bool all,
                           struct shown_price_list **list_r, size_t *n_r) WARN_UNUSED;
/* The one of them that prices a run; `model` NULL: it has none. NULL: there is none. */
const struct price_list *price_lists_choose(const struct shown_price_list *list, size_t n,
                                            const id *responder, const char *model);
