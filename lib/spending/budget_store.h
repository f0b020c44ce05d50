/* Making, listing and changing budgets (docs/budgets.md). Each change locks the workspace's account, as every
 * transaction that counts in a budget does. */
#pragma once

#include "account/once.h"
#include "mariadb/db.h"
#include "spending/budget.h"

enum {
    BUDGET_SOFT_MIN = 1,
    BUDGET_SOFT_MAX = 99,
    BUDGETS_LIST_MAX = 100,
    /* Budgets that can apply to a run without tags; BUDGETS_OF_RUN_MAX with tags. */
    BUDGETS_WITHOUT_TAG_MAX = 6,
};
/* Micro-credits: a thousand million credits. */
#define BUDGET_LIMIT_MAX INT64_C(1000000000000000)

struct spending_budget {
    /* With the period of now, and what is used in it. */
    struct budget_row row;
    int64_t created_ms, updated_ms;
};

/* Reads a target as text: an id for a key, principal or responder, 1 to BUDGET_TARGET_MAX bytes of a tag, and
 * nothing (NULL) for the workspace. NULL if it fits, or what it has to be. The span is of ctx or of `text`.
 */
const char *budget_read_target(void *ctx, enum budget_scope scope, const char *text, size_t size,
                               struct span *target_r);

/* Stores a new budget; the caller sets id, workspace_id, scope, target, period, limit and soft_percent.
 * ERR_NOT_FOUND: no such workspace. ERR_INVALID: the workspace has no such key, principal or responder.
 * ERR_CONFLICT: it has a budget of this scope, target and period; if `replaces`, that one gets the limit and
 * soft_percent instead, and row.id becomes its id. ERR_LIMIT: it has `quota` budgets. ERR_DENIED: more than
 * BUDGETS_WITHOUT_TAG_MAX budgets could apply to one run. */
enum err budget_create(struct db *db, struct budget_row *row, int64_t quota, bool replaces,
                       struct once *once) WARN_UNUSED;

struct budget_change {
    bool has_limit, has_soft;
    int64_t limit;
    int soft_percent;
};
/* ERR_NOT_FOUND: the workspace has no such budget. */
enum err budget_change(struct db *db, const id *workspace, const id *budget,
                       const struct budget_change *change) WARN_UNUSED;
enum err budget_delete(struct db *db, const id *workspace, const id *budget) WARN_UNUSED;
enum err budget_get(struct db *db, void *ctx, const id *workspace, const id *budget,
                    struct spending_budget *budget_r) WARN_UNUSED;
/* Up to `limit` budgets after `after` (unset: from the first), by id. */
enum err budget_list(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                     struct spending_budget **list_r, size_t *n_r) WARN_UNUSED;
/* "ok", "soft" or "exceeded". */
const char *budget_level_name(const struct budget_row *b);
