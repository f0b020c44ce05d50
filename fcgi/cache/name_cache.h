/* Names of responders (workflows and skills), cached by each worker for one second. Executions are shown with
 * the name; a join in every query would cost as much as reading the execution itself. */
#pragma once

#include "store/execution.h"

struct request;
struct name_cache;

struct name_cache *name_cache_new(void *ctx);

/* Sets responder_name of every execution in the list, allocated from the request. NULL if the responder no
 * longer exists. */
enum err name_cache_fill(struct request *r, struct execution *const *list, size_t n) WARN_UNUSED;
