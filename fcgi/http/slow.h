/* The turn of a slow request: one whose caller-controlled work may take more than a millisecond of a
 * processor. The rule and its limits: fcgi/shared/slow_share.h. A request takes its turn before that work and
 * holds it until slow_end, or until its memory was freed after the reply. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "fcgi/http/route.h"
#include "store/quota.h"

struct app;
struct request;

enum {
    /* JSON of more bytes may take a millisecond to parse twice and to check: 100 ns a byte if it consists of
     * empty objects (measured). Such a body is not read before the request's turn either. */
    SLOW_JSON_BYTES = 8 * 1024,
    /* Units of work of a validation that take a millisecond (schema/schema.h). */
    SLOW_VALIDATION = 20000,
    /* A read in its turn was slow if it took api.slow_read_ms and read so many rows (some 2 us each), or took
     * so many times api.slow_read_ms, whatever it read. */
    SLOW_READ_ROWS = 20000,
    SLOW_READ_SURE = 4,
};

/* As slow_try, but does not wait: false if it is not the request's turn now. */
bool slow_try_now(struct request *r);
/* Waits for the request's turn, at most 2 s. False if the turn did not come or the workspace occupies its
 * share of the workers. Does nothing, and returns true, if the request has its turn or has no worker (unit
 * tests). */
bool slow_try(struct request *r);
/* As slow_try; if false, replies 429. */
bool slow_begin(struct request *r);
/* Answers a request by a handler that only reads. Its statements of MariaDB end after api.slow_read_ms; if
 * one does, what the handler replied is dropped, and it is called again with the request's turn. If it was
 * slow by itself (SLOW_READ_ROWS), further requests of the workspace take their turn first for a while.
 * Otherwise the host delays what reads little: further ones of the workspace have SLOW_READ_SURE times as
 * long for a while, so that they are not executed twice. Returns the status. */
int slow_read(struct request *r, route_handler *handler);
/* How many places of a share the workspace of the request may have at most. The limits are read again after 5
 * s; the last ones apply while MariaDB is away. */
unsigned request_share_limit(struct request *r, enum quota quota);
/* Ends the turn of this worker's request, if it has one: what follows is short, or is limited elsewhere. */
void slow_end(const struct app *app);
