/* The table of all that can be asked for, and the way of a request through it: route, form, age, key, rate,
 * body, handler. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct request;
struct FCGX_Stream;

/* Answers by one of the reply_ calls, and returns the status. */
typedef int route_handler(struct request *r);

struct route {
    const char *method;
    const char *path;  /* below the prefix; {…} is a value */
    const char *query; /* the parameters it knows, separated by spaces; a * behind one that may be repeated */
    uint32_t scopes;   /* one of these is needed; 0: no key at all */
    uint32_t flags;    /* ROUTE_ */
    size_t body_max;   /* 0: a body is not looked at */
    route_handler *handler;
};

enum {
    ROUTE_BARE = 1,    /* not below the prefix */
    ROUTE_OPEN = 2,    /* no key */
    ROUTE_TICKET = 4,  /* instead of a key there may be a ticket for the execution that is last in the path */
    ROUTE_STREAM = 16, /* the handler reads the body by itself */
    ROUTE_WAITED = 8,  /* nginx comes back with a request that waited: it is not counted again */
};

/* Finds the route and its path_values. NULL: the reply is 404, or 405 with Allow. */
const struct route *route_find(struct request *r);
/* Answers the request. `in` may be NULL where there is no body to read (tests). */
void route_request(struct request *r, struct FCGX_Stream *in);

/* "GET /executions/{id}" …, for metrics; the last is for what met no route. */
const char *const *route_names(unsigned *n_r);
unsigned route_index(const struct request *r);
