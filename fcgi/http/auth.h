/* Authentication and authorization. An API key is sent as `Authorization: Bearer KEY`, `Authorization: KEY`
 * or `X-API-Key: KEY` and is found by its SHA-256. Keys are cached for at most one second, so that a
 * revocation reaches every worker within that time; unknown keys are cached as long, elsewhere. A client
 * address may cause only some look-ups of unknown keys and tickets per second (api.unknown_keys_per_s);
 * beyond it, keys that this host has not seen recently are rejected with 429. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ids.h"

struct request;

/* What the workers of a host cache of a key, by its hash (fcgi/shared/shared_cache.h). */
struct auth_cached_key {
    /* Boot time before MariaDB was asked. */
    int64_t fetched_ms;
    int64_t expires_ms, rate_limit, streams;
    id key_id, workspace_id, principal_id;
    uint32_t scopes;
    bool found, revoked;
};

/* Checks the request's key and fills r->access. False if there is no valid key: the reply is 401, or 503
 * while MariaDB is unreachable. */
bool auth_check(struct request *r) WARN_UNUSED;
/* The same by the ticket in the query, which must have been issued for the execution that is last in the
 * path. */
bool auth_check_ticket(struct request *r) WARN_UNUSED;
/* True if the key has one of the scopes. Otherwise the reply is 403 and names them. */
bool auth_require_scope(struct request *r, uint32_t scopes) WARN_UNUSED;
/* Updates the key's time of last use, to the minute. Call it after the reply was sent. */
void auth_record_use(struct request *r);

/* Finds the API key in the request's headers. 1: found; 0: none was sent; -1: two keys differ or a header was
 * sent twice. */
int auth_find_key(const struct request *r, const char **key_r);
