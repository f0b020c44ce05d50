/* The price lists that replies show prices by. */
#pragma once

#include "spending/price_store.h"

struct request;

struct dated_prices {
    /* In force or to come. */
    struct shown_price_list *list;
    size_t n;
    /* The model that a run has which names none; NULL: the workspace has no default, or no price lists. */
    const char *default_model;
};

/* Reads those of the request's workspace; one statement for a workspace without any. */
enum err dated_prices_read(struct request *r, struct dated_prices *dated_r) WARN_UNUSED;
/* The list that prices a run which names no model; NULL: none. `agentic`: a model runs it. */
const struct price_list *dated_prices_choose(const struct dated_prices *dated, const id *responder,
                                             bool agentic);
