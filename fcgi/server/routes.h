/* The table of routes, and the steps of a request: find the route, shed it if it waited too long,
 * authenticate, check the rate limit, authorize, check the query, read the body, call the handler. */
#pragma once

#include <stdbool.h>

#include "fcgi/http/route.h"

struct FCGX_Stream;

/* Finds the route and sets r->path_values. NULL: the reply is 404, or 405 with Allow. */
const struct route *route_find(struct request *r);
/* Answers the request. `in` may be NULL if there is no body to read (tests). */
void route_request(struct request *r, struct FCGX_Stream *in);

/* Labels for metrics, such as "GET /executions/{id}"; the last one is for requests that matched no route. */
const char *const *route_names(unsigned *n_r);
/* True if the request's route starts one run. */
bool route_starts_run(const struct request *r);
/* The index of the request's label. */
unsigned route_index(const struct request *r);
