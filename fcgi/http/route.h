/* One row of the table of routes (fcgi/server/routes.c). */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct request;

/* Answers the request by one of the reply_ functions and returns the status. */
typedef int route_handler(struct request *r);

struct route {
    const char *method;
    /* Below the API prefix, unless ROUTE_BARE. A {…} segment matches any text. */
    const char *path;
    /* Names of the accepted query parameters, separated by spaces. A parameter followed by * may be
     * repeated. */
    const char *query;
    /* The key must have one of these scopes. 0: see ROUTE_OPEN, ROUTE_SIGN_IN and ROUTE_SESSION. */
    uint32_t scopes;
    /* ROUTE_ values. */
    uint32_t flags;
    /* Octets; 0: the body is not read. */
    size_t body_max;
    route_handler *handler;
};

/* The bits of the flags, counted by the compiler, so that no two are the same. */
enum route_bit {
    ROUTE_BIT_BARE,
    ROUTE_BIT_OPEN,
    ROUTE_BIT_TICKET,
    ROUTE_BIT_RESUMED,
    ROUTE_BIT_STREAM,
    ROUTE_BIT_SIGN_IN,
    ROUTE_BIT_SESSION,
    ROUTE_BIT_ANY_QUERY,
    ROUTE_BIT_READS,
    ROUTE_BITS,
};
enum {
    /* The path is not below the API prefix. */
    ROUTE_BARE = 1 << ROUTE_BIT_BARE,
    /* No key is required. */
    ROUTE_OPEN = 1 << ROUTE_BIT_OPEN,
    /* Instead of a key, a ticket for the execution that is last in the path is accepted. */
    ROUTE_TICKET = 1 << ROUTE_BIT_TICKET,
    /* nginx sends a request again after a wait; it is neither rate-limited again nor shed. */
    ROUTE_RESUMED = 1 << ROUTE_BIT_RESUMED,
    /* The handler reads the body itself, in chunks. */
    ROUTE_STREAM = 1 << ROUTE_BIT_STREAM,
    /* No key is required: the body holds it, and the handler checks it. */
    ROUTE_SIGN_IN = 1 << ROUTE_BIT_SIGN_IN,
    /* The cookie of a session is required, and no scope. */
    ROUTE_SESSION = 1 << ROUTE_BIT_SESSION,
    /* Query parameters are ignored: programs that handle mails add some to links. */
    ROUTE_ANY_QUERY = 1 << ROUTE_BIT_ANY_QUERY,
    /* How long its statements of MariaDB take depends on what the workspace has stored. It only reads, so
     * that the handler can be called again (slow_read). */
    ROUTE_READS = 1 << ROUTE_BIT_READS,
};
_Static_assert((ROUTE_BARE | ROUTE_OPEN | ROUTE_TICKET | ROUTE_RESUMED | ROUTE_STREAM | ROUTE_SIGN_IN |
                ROUTE_SESSION | ROUTE_ANY_QUERY | ROUTE_READS) == (1 << ROUTE_BITS) - 1,
               "each flag has a bit of its own");
