/* What a worker remembers of responders' names, for a second: executions are shown with them, and a join in
 * every query would cost as much as the execution itself. */
#pragma once

#include "store/execution.h"

struct request;
struct name_cache;

struct name_cache *name_cache_new(void *ctx);

/* Sets responder_name of all of the list; of the request. NULL where there is none any more. */
enum err name_cache_fill(struct request *r, struct execution *const *list, size_t n) WARN_UNUSED;
