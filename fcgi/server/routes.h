/* The table of all that can be asked for, and the way of a request through it: route, form, age, key, rate,
 * body, handler. */
#pragma once

#include "fcgi/http/route.h"

struct FCGX_Stream;

/* Finds the route and its path_values. NULL: the reply is 404, or 405 with Allow. */
const struct route *route_find(struct request *r);
/* Answers the request. `in` may be NULL where there is no body to read (tests). */
void route_request(struct request *r, struct FCGX_Stream *in);

/* "GET /executions/{id}" …, for metrics; the last is for what met no route. */
const char *const *route_names(unsigned *n_r);
unsigned route_index(const struct request *r);
