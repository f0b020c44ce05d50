/* What runs of a workspace cost now by the prices without a date (docs/billing.md); lib/run/price.h has the
 * rule. */
#pragma once

#include "mariadb/db.h"
#include "run/states.h"

/* What decides a price. */
enum price_source { PRICE_DEFAULT, PRICE_WORKSPACE, PRICE_RESPONDER, PRICE_PROGRAM };
/* "default", "workspace", "responder" or "program". */
const char *price_source_name(enum price_source source);

struct price {
    id responder_id;
    enum responder_kind kind;
    /* Micro-credits of a run of the current version. */
    int64_t micro;
    enum price_source source;
    /* What it is decided from, in micro-credits: the operator's price of the responder and of the workspace
     * (-1: not set), and what the program or manifest asks for. */
    int64_t own, usual, asked;
    /* A skill that a model runs. */
    bool agentic;
};

/* Prices of up to `limit` workflows and skills after `after` (unset: from the first), by id; on ctx. */
enum err price_list(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                    struct price **list_r, size_t *n_r) WARN_UNUSED;
/* The price of a workspace in micro-credits (-1: not set), and its balance. ERR_NOT_FOUND: no such workspace.
 */
enum err price_of_workspace(struct db *db, const id *workspace, int64_t *price_r,
                            int64_t *balance_r) WARN_UNUSED;
