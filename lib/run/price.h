/* What a run costs. */
#pragma once

#include "run/accept_types.h"
struct price_list;

/* Micro-credits: the responder's own price, else the workspace's (`account_price`, -1: not set), else one
 * credit; but never less than the program or manifest asks for. */
int64_t run_price(const struct run_request *req, int64_t account_price);
/* The same, if the list has a fixed price with that one in place of the responder's and the workspace's.
 * `list` NULL: there is none. */
int64_t run_fixed_price(const struct run_request *req, int64_t account_price, const struct price_list *list);
/* The alias of the model that the run uses, on ctx; NULL: none. */
enum err run_model_of(void *ctx, const struct run_request *req, const char **model_r) WARN_UNUSED;
/* What is debited when the run is accepted: the fixed part, and what is held for the used part. INT64_MAX on
 * overflow. */
int64_t run_listed_price(const struct run_request *req, int64_t account_price, const struct price_list *list);
