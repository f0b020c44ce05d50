/* Authentication and authorization. An API key is sent as `Authorization: Bearer KEY`, `Authorization: KEY`
 * or `X-API-Key: KEY` and is found by its SHA-256. The console sends a session's cookie instead
 * (fcgi/http/console.h); a request with both is rejected. Keys and sessions are cached for at most one
 * second, so that a revocation reaches every worker within that time; unknown keys are cached as long,
 * elsewhere. A client address may cause only some look-ups of unknown keys and tickets per second
 * (api.unknown_keys_per_s); beyond it, keys that this host has not seen recently are rejected with 429. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ids.h"

struct request;
struct session_replaced;

/* OPERATOR_NAME_MAX of lib/session/operator.h, and a NUL. */
enum { AUTH_OPERATOR_NAME_SIZE = 64 + 1 };

/* What the workers of a host cache of a key or session, by its hash (fcgi/shared/shared_cache.h). */
struct auth_cached_key {
    /* Boot time before MariaDB was asked. */
    int64_t fetched_ms;
    int64_t expires_ms, rate_limit, streams;
    /* Of a session; 0: it is a key. */
    int64_t used_ms, ends_ms;
    id key_id, workspace_id, principal_id, session_id, operator_id;
    /* Of an operator. */
    char operator_name[AUTH_OPERATOR_NAME_SIZE];
    uint32_t scopes;
    bool found, revoked, is_frozen;
};

/* Checks the request's key or session and fills r->access. False if there is none that is valid: the request
 * is rejected with 401, with 403 or 415 if a page of another origin may have sent it, or with 503 while
 * MariaDB is unreachable. */
bool auth_check(struct request *r) WARN_UNUSED;
/* The same by an API key or an operator's token that stands in the body of the request. */
bool auth_check_token(struct request *r, const char *key) WARN_UNUSED;
/* For signing in: finds the session whose cookie the browser still sends. id is not set if there is none.
 * False: the reply is set, 401 if a key or several cookies were sent, 429 or 503 as of auth_check. */
bool auth_find_replaced_session(struct request *r, struct session_replaced *old_r) WARN_UNUSED;
/* Takes the request out of the rate limit of its workspace, or of its operator. False (429) if nothing is
 * left. */
bool auth_take_rate(struct request *r) WARN_UNUSED;
/* The session or key of the request, by which the event daemon asks whether a stream may continue. */
const id *auth_credential(const struct request *r);
/* Records a write by an operator in the audit log, before it is made, so that there is none without its row.
 * GET and HEAD are reads unless their route needs a scope to write.
 * True if there is nothing to record. False: the reply is set. */
bool auth_record_operator(struct request *r) WARN_UNUSED;
/* Lets the workers of this host forget the request's session, which was deleted. */
void auth_forget_session(struct request *r);
/* As auth_check, by the ticket in the query, which must have been issued for the execution that is last in
 * the path. */
bool auth_check_ticket(struct request *r) WARN_UNUSED;
/* True if the key has one of the scopes. Otherwise the reply is 403 and names them. */
bool auth_require_scope(struct request *r, uint32_t scopes) WARN_UNUSED;
/* True if a session's cookie authenticated the request. Otherwise the reply is 401. */
bool auth_require_session(struct request *r) WARN_UNUSED;
/* Updates the time of last use of the key and session, to the minute. Call it after the reply was sent. */
void auth_record_use(struct request *r);

/* Finds the API key in the request's headers. 1: found; 0: none was sent; -1: two keys differ or a header was
 * sent twice. */
int auth_find_key(const struct request *r, const char **key_r);

/* Whether an unknown key, token, cookie or ticket of the scheme names another cell (lib/base/cell.h). If so,
 * the request is rejected with 421 (request_reject). */
bool auth_reject_foreign(struct request *r, const char *scheme, const char *secret);

/* Takes one of the look-ups of unknown credentials that the client's address has in a second, for a ticket in
 * a path; now_ms is boot time. False if none is left: the reply is 429. Give it back if the ticket is
 * known. */
bool auth_take_look_up(struct request *r, int64_t now_ms) WARN_UNUSED;
void auth_give_back_look_up(struct request *r, int64_t now_ms);
