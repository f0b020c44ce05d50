/* A row of the table of routes (fcgi/server/routes.c). */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct request;

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
    ROUTE_RESUMED = 8, /* nginx comes back with a request that waited: it is not counted again */
};
