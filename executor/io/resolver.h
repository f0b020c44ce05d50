/* Host names to addresses, without a thread: c-ares on libevent. /etc/hosts is read first, then the name
 * servers are asked: those of the setting executor.dns_servers, or the system's as they were at start.
 * Look-ups of one name at a time share one query. Addresses are kept for RESOLVER_CACHE_MS.
 *
 * A look-up ends after RESOLVER_TIMEOUT_MS at the latest. Its query may live on for some seconds, because
 * c-ares cannot abandon one query; a later look-up of the same name joins it. Loop thread only. */
#pragma once

#include <event2/event.h>
#include <netinet/in.h>
#include <stddef.h>

#include "service/timers.h"

enum {
    RESOLVER_TIMEOUT_MS = 5000,
    RESOLVER_CACHE_MS = 30000,
    /* names in the cache; all are dropped when there are more */
    RESOLVER_CACHE_MAX = 4096,
    /* addresses of one name; others are ignored */
    RESOLVER_ADDRESSES_MAX = 16,
};

union resolver_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct resolver_answer {
    /* a sentence: there is no address; NULL: there is at least one */
    const char *error;
    /* in the order in which they should be tried (RFC 6724) */
    const union resolver_address *addresses;
    size_t n;
};
/* `answer` is valid until the function returns; the look-up is freed then. */
typedef void resolver_done(void *arg, const struct resolver_answer *answer);

struct resolver;
struct resolver_lookup;

/* `servers`: "ADDRESS" or "ADDRESS:PORT", separated by commas; "": the system's. NULL: *why_r is a sentence.
 */
struct resolver *resolver_new(void *ctx, struct event_base *base, struct timers *timers, const char *servers,
                              const char **why_r);
/* `done` is called once, later, never from within this function, unless the look-up is cancelled. */
struct resolver_lookup *resolver_look_up(struct resolver *resolver, const char *host, resolver_done *done,
                                         void *arg);
/* `done` is not called. Where the query of the name lives on without a look-up, it takes over `share`, a
 * talloc pointer, and frees it at its end; otherwise `share` is freed now. It may be NULL. */
void resolver_cancel(struct resolver_lookup *lookup, void *share);
/* Queries that have not ended. */
size_t resolver_queries(const struct resolver *resolver);
