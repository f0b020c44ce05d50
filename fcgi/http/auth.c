#include "fcgi/http/auth.h"

#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scopes.h"
#include "deed/deed.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "store/key.h"
#include "store/ticket.h"

enum { CACHE_TTL_MS = 1000, KEY_MAX = 256, LAST_USED_STEP_MS = 60 * 1000 };

/* The key in "Bearer KEY" (the scheme in any case) or in a field that is the key alone. */
static const char *key_of_authorization(const char *field)
{
    if (strncasecmp(field, "Bearer ", 7) == 0)
        field += 7;
    while (*field == ' ')
        field++;
    return field;
}

int auth_find_key(const struct request *r, const char **key_r)
{
    const char *authorization, *own;
    int authorizations = request_param_count(r, "HTTP_AUTHORIZATION", &authorization);
    int owns = request_param_count(r, "HTTP_X_API_KEY", &own);
    *key_r = authorizations ? key_of_authorization(authorization) : own;
    if (authorizations > 1 || owns > 1)
        return -1;
    if (authorizations && owns && strcmp(*key_r, own) != 0)
        return -1;
    return *key_r != NULL;
}

static bool reject_unauthenticated(struct request *r, const char *why)
{
    reply_header(r, "WWW-Authenticate", "Bearer");
    reply_problem(r, 401, "unauthenticated", "%s", why);
    return false;
}

/* The client's address, or its network, as nginx counts it. */
static const char *client_network(const struct request *r)
{
    const char *network = request_param(r, "CLIENT_NETWORK");
    return network ? network : "";
}

/* Takes a look-up of a credential that may be unknown. False if the address has none left: the reply is
 * set. */
static bool take_look_up(struct request *r, int64_t now_ms)
{
    uint32_t per_second = (uint32_t)r->app->config->api.unknown_keys_per_s;
    if (address_limit_take(&r->app->shared->unknown_key_limit, client_network(r), now_ms, per_second))
        return true;
    atomic_fetch_add_explicit(&r->app->shared->metrics.refused_unknown, 1, memory_order_relaxed);
    reply_header(r, "Retry-After", "1");
    reply_problem(r, 429, "rate_limited",
                  "More than %u unknown API keys or tickets in one second came from this address.",
                  per_second);
    return false;
}

static void give_back_look_up(struct request *r, int64_t now_ms)
{
    address_limit_give_back(&r->app->shared->unknown_key_limit, client_network(r), now_ms);
}

/* Whether the key was unknown at most CACHE_TTL_MS ago. */
static bool is_known_as_unknown(const struct request *r, const uint8_t hash[API_KEY_HASH_SIZE],
                                int64_t now_ms)
{
    int64_t asked_ms;
    return shared_cache_get(r->app->shared->unknown_keys, hash, &asked_ms) &&
           now_ms - asked_ms < CACHE_TTL_MS;
}

/* Looks up a key by its hash; the result is at most CACHE_TTL_MS old. False if MariaDB failed or the address
 * has looked up too many unknown keys: the reply is set. */
static bool look_up_key(struct request *r, const uint8_t hash[API_KEY_HASH_SIZE],
                        struct auth_cached_key *cached_r)
{
    struct shared_cache *cache = r->app->shared->keys;
    int64_t now_ms = clock_boot_ms();
    /* An entry that is too old still shows that the key exists: it is looked up again at no charge. */
    bool existed = shared_cache_get(cache, hash, cached_r);
    if (existed && now_ms - cached_r->fetched_ms < CACHE_TTL_MS)
        return true;
    cached_r->found = false;
    if (!existed && is_known_as_unknown(r, hash, now_ms))
        return true;
    if (!existed && !take_look_up(r, now_ms))
        return false;
    struct api_key key;
    struct api_key_limits limits = {0};
    enum err e = api_key_find(r->app->db, r, hash, &key, &limits);
    if (e != ERR_NOT_FOUND && !existed)
        give_back_look_up(r, now_ms);
    if (e != OK && e != ERR_NOT_FOUND) {
        reply_err(r, e);
        return false;
    }
    if (e == ERR_NOT_FOUND && !existed) {
        shared_cache_put(r->app->shared->unknown_keys, hash, &now_ms);
        return true;
    }
    memset(cached_r, 0, sizeof *cached_r); /* shared_cache_put: padding must be zero */
    cached_r->fetched_ms = now_ms;
    cached_r->found = e == OK;
    if (e == OK) {
        cached_r->key_id = key.id;
        cached_r->workspace_id = key.workspace_id;
        cached_r->principal_id = key.principal_id;
        cached_r->scopes = key.scopes;
        cached_r->expires_ms = key.expires_ms;
        cached_r->revoked = key.revoked_ms != 0;
        cached_r->rate_limit = limits.rate_limit;
        cached_r->streams = limits.streams;
        r->access.last_used_is_stale = clock_wall_ms() - key.last_used_ms >= LAST_USED_STEP_MS;
    }
    shared_cache_put(cache, hash, cached_r);
    return true;
}

bool auth_check(struct request *r)
{
    const char *key;
    int found = auth_find_key(r, &key);
    if (found == 0)
        return reject_unauthenticated(r, "An API key is required: Authorization: Bearer KEY.");
    if (found < 0)
        return reject_unauthenticated(r, "Several API keys were sent; send one.");
    size_t size = strlen(key);
    if (size == 0 || size > KEY_MAX)
        return reject_unauthenticated(r, "The API key is not valid.");
    uint8_t hash[API_KEY_HASH_SIZE];
    api_key_hash(key, size, hash);
    struct auth_cached_key cached;
    if (!look_up_key(r, hash, &cached))
        return false;
    if (!cached.found || cached.revoked || (cached.expires_ms && cached.expires_ms <= clock_wall_ms()))
        return reject_unauthenticated(r, "The API key is not valid.");
    r->access.key_id = cached.key_id;
    r->access.workspace_id = cached.workspace_id;
    r->access.principal_id = cached.principal_id;
    r->access.scopes = cached.scopes;
    r->access.rate_limit = cached.rate_limit;
    r->access.streams = cached.streams;
    r->access.by_header = true;
    deed_begin(DEED_BY_KEY, cached.key_id.text, r->id);
    return true;
}

bool auth_check_ticket(struct request *r)
{
    int last = 0;
    id execution;
    struct ticket_access access;
    while (last + 1 < PATH_VALUES_MAX && r->path_values[last + 1])
        last++;
    int64_t now_ms = clock_boot_ms();
    if (!request_path_id(r, last, &execution) || !take_look_up(r, now_ms))
        return false;
    enum err e = ticket_use(r->app->db, r, request_query(r, "ticket"), &execution, &access);
    if (e == ERR_DENIED)
        return reject_unauthenticated(r, "The ticket is not valid for this execution or has expired.");
    give_back_look_up(r, now_ms);
    if (e != OK) {
        reply_err(r, e);
        return false;
    }
    r->access.key_id = access.key_id;
    r->access.workspace_id = access.workspace_id;
    r->access.rate_limit = access.rate_limit;
    r->access.streams = access.streams;
    return true;
}

bool auth_require_scope(struct request *r, uint32_t scopes)
{
    if (r->access.scopes & scopes)
        return true;
    const char *names = scopes_text(r, scopes);
    reply_problem(r, 403, "insufficient_scope", "The API key needs the scope %s.", names);
    return false;
}

void auth_record_use(struct request *r)
{
    if (r->access.last_used_is_stale &&
        api_key_mark_used(r->app->db, r, &r->access.key_id, clock_wall_ms()) != OK)
        /* the next request tries again */
        log_debug("auth.last_used_update_failed", "key=%s", r->access.key_id.text);
}
