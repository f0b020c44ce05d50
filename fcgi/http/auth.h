/* Who asks: a key in one of three headers, found by its SHA-256. What a key may do is remembered for at most
 * a second, so that revoking one reaches every worker within that time; unknown keys are remembered, too. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "store/key.h"

struct request;

struct access {
    id key_id, workspace_id, principal_id;
    uint32_t scopes;
    int64_t rate_limit;      /* requests a minute; 0: the setting's */
    bool last_used_is_stale; /* to be written after the answer */
    bool by_header;          /* a key header authenticated the request, not a ticket in the URL */
};

/* What the workers of a host remember of a key, by its hash (fcgi/shared/shared_cache.h): a stranger who
 * sends many wrong keys costs look-ups, never memory. */
struct auth_cached_key {
    int64_t fetched_ms; /* boot time, before MariaDB was asked */
    int64_t expires_ms, rate_limit;
    id key_id, workspace_id, principal_id;
    uint32_t scopes;
    bool found, revoked;
};

/* Fills r->access. False where there is no good key: the reply is 401, or 503 with MariaDB away. */
bool auth_check(struct request *r) WARN_UNUSED;
/* The same for a ticket in the query, which must be for the execution that is last in the path. */
bool auth_check_ticket(struct request *r) WARN_UNUSED;
/* Whether the key has one of the scopes; else the reply is 403 and names it. */
bool auth_require_scope(struct request *r, uint32_t scopes) WARN_UNUSED;
/* After the answer: keeps the key's last use, to the minute. */
void auth_record_use(struct request *r);

/* The key's text in the params of a request: 1 found, 0 none came, -1 two differ or a header came twice. */
int auth_find_key(const struct request *r, const char **key_r);
