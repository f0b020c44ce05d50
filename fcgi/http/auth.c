#include "fcgi/http/auth.h"

#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/cell.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/scopes.h"
#include "deed/deed.h"
#include "fcgi/http/app.h"
#include "fcgi/http/console.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/route.h"
#include "session/session.h"
#include "store/key.h"
#include "store/ticket.h"

enum { CACHE_TTL_MS = 1000, KEY_MAX = 256, LAST_USED_STEP_MS = 60 * 1000, MINUTE_MS = 60 * 1000 };

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

static bool reject_several_cookies(struct request *r)
{
    return reject_unauthenticated(r, "Several cookies of sessions were sent; send one.");
}

bool auth_reject_foreign(struct request *r, const char *scheme, const char *secret)
{
    char cell[CELL_NAME_SIZE];
    const char *own = r->app->config->cell.name;
    if (!cell_is_foreign(own, scheme, secret, cell))
        return false;
    (void)request_reject(
        r, 421, "wrong_cell",
        "What was sent belongs to cell %s, and this is %s%s: the request was routed wrongly, "
        "or the cell does not exist.",
        cell, *own ? "cell " : "the default cell", own);
    return true;
}

/* The client's address, or its network, as nginx counts it. */
static const char *client_network(const struct request *r)
{
    const char *network = request_param(r, "CLIENT_NETWORK");
    return network ? network : "";
}

bool auth_take_look_up(struct request *r, int64_t now_ms)
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

void auth_give_back_look_up(struct request *r, int64_t now_ms)
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

_Static_assert(AUTH_OPERATOR_NAME_SIZE == OPERATOR_NAME_MAX + 1, "a name fits");

/* A key, a session or an operator's token, by the hash under which it is stored and cached. Each kind has a
 * hash function of its own. */
struct credential {
    uint8_t hash[API_KEY_HASH_SIZE];
    enum { CREDENTIAL_KEY, CREDENTIAL_SESSION, CREDENTIAL_OPERATOR } kind;
};
/* What was found. For an operator, `key` stands for it (session/session.h). */
struct found {
    struct api_key key;
    struct session session;
    struct operator operator;
    struct api_key_limits limits;
};

static enum err find_operator(struct request *r, const struct credential *c, struct found *f)
{
    enum err e = operator_find(r->app->db, r, c->hash, &f->operator);
    if (e == OK)
        f->key = (struct api_key){.id = f->operator.id,
                                  .principal_id = f->operator.id,
                                  .scopes = role_scopes(f->operator.role),
                                  .expires_ms = f->operator.expires_ms,
                                  .revoked_ms = f->operator.revoked_ms,
                                  .last_used_ms = f->operator.last_used_ms };
    return e;
}

static enum err find_credential(struct request *r, const struct credential *c, struct found *f)
{
    *f = (struct found){.limits.streams = -1};
    if (c->kind == CREDENTIAL_OPERATOR)
        return find_operator(r, c, f);
    if (c->kind == CREDENTIAL_SESSION)
        return session_find(r->app->db, r, c->hash, &f->session, &f->key, &f->operator, & f->limits);
    enum err e = api_key_find(r->app->db, r, c->hash, &f->key, &f->limits);
    f->key.scopes &= SCOPES_KNOWN;
    return e;
}

static void fill_cached(struct auth_cached_key *cached, const struct found *f)
{
    cached->key_id = f->key.id;
    cached->workspace_id = f->key.workspace_id;
    cached->principal_id = f->key.principal_id;
    cached->session_id = f->session.id;
    cached->operator_id = f->operator.id;
    cached->scopes = f->key.scopes;
    cached->expires_ms = f->key.expires_ms;
    cached->revoked = f->key.revoked_ms != 0;
    cached->used_ms = f->session.used_ms;
    cached->ends_ms = f->session.ends_ms;
    cached->rate_limit = f->limits.rate_limit;
    cached->streams = f->limits.streams;
    cached->is_frozen = f->limits.is_frozen;
    if (f->operator.name)
        strncpy(cached->operator_name, f->operator.name, sizeof cached->operator_name - 1);
}

/* Looks up a key or session by its hash; the result is at most CACHE_TTL_MS old. False if MariaDB failed or
 * the address has looked up too many unknown ones: the reply is set. */
static bool look_up(struct request *r, const struct credential *c, struct auth_cached_key *cached_r)
{
    struct shared_cache *cache = r->app->shared->keys;
    int64_t now_ms = clock_boot_ms();
    /* An entry that is too old still shows that the key exists: it is looked up again at no charge. */
    bool existed = shared_cache_get(cache, c->hash, cached_r);
    if (existed && now_ms - cached_r->fetched_ms < CACHE_TTL_MS)
        return true;
    cached_r->found = false;
    if (!existed && is_known_as_unknown(r, c->hash, now_ms))
        return true;
    if (!existed && !auth_take_look_up(r, now_ms))
        return false;
    struct found found;
    enum err e = find_credential(r, c, &found);
    if (e != ERR_NOT_FOUND && !existed)
        auth_give_back_look_up(r, now_ms);
    if (e != OK && e != ERR_NOT_FOUND) {
        reply_err(r, e);
        return false;
    }
    if (e == ERR_NOT_FOUND && !existed) {
        shared_cache_put(r->app->shared->unknown_keys, c->hash, &now_ms);
        return true;
    }
    memset(cached_r, 0, sizeof *cached_r); /* shared_cache_put: padding must be zero */
    cached_r->fetched_ms = now_ms;
    cached_r->found = e == OK;
    if (e == OK) {
        fill_cached(cached_r, &found);
        int64_t used_ms = c->kind == CREDENTIAL_SESSION ? found.session.used_ms : found.key.last_used_ms;
        r->access.last_used_is_stale = clock_wall_ms() - used_ms >= LAST_USED_STEP_MS;
    }
    shared_cache_put(cache, c->hash, cached_r);
    return true;
}

/* Whether a key, or a session and its key, may be used now. */
static bool is_valid(const struct request *r, const struct auth_cached_key *c)
{
    int64_t now_ms = clock_wall_ms();
    const struct session session = {.used_ms = c->used_ms, .ends_ms = c->ends_ms};
    if (!c->found || c->revoked || (c->expires_ms && c->expires_ms <= now_ms))
        return false;
    return !c->ends_ms || session_is_open(&session, r->app->config->console.idle_minutes * MINUTE_MS, now_ms);
}

static bool reject_frozen(struct request *r)
{
    reply_err(r, ERR_FROZEN);
    return false;
}

/* False: the request is rejected, because its workspace is frozen. */
static bool grant_access(struct request *r, const struct auth_cached_key *c)
{
    if (c->is_frozen)
        return reject_frozen(r);
    r->access.key_id = c->key_id;
    r->access.workspace_id = c->workspace_id;
    r->access.principal_id = c->principal_id;
    r->access.session_id = c->session_id;
    r->access.operator_id = c->operator_id;
    r->access.scopes = c->scopes;
    r->access.rate_limit = c->rate_limit;
    r->access.streams = c->streams;
    if (id_is_set(&c->operator_id))
        deed_begin(DEED_BY_OPERATOR, c->operator_name, r->id);
    else
        deed_begin(DEED_BY_KEY, c->key_id.text, r->id);
    return true;
}

/* The workspace in which an operator's request acts. Requests about the installation or the session need
 * none. False: the request is rejected. */
static bool enter_workspace(struct request *r)
{
    const char *name;
    int names = request_param_count(r, "HTTP_X_MILLRACE_WORKSPACE", &name);
    bool is_needed = !(r->route->flags & ROUTE_SESSION) &&
                     !(r->route->scopes & (SCOPE_OPERATOR_READ | SCOPE_OPERATOR_WRITE));
    if (!is_needed)
        return true;
    if (names != 1 || !id_parse(name, strlen(name), &r->access.workspace_id))
        return request_reject(r, 400, "invalid_request",
                              "An operator's request must name the workspace: X-Millrace-Workspace: ID.");
    bool is_frozen;
    enum err e = operator_workspace(r->app->db, r, &r->access.workspace_id, &r->access.streams, &is_frozen);
    if (e == OK && is_frozen)
        return reject_frozen(r);
    if (e == ERR_NOT_FOUND)
        return request_reject(r, 404, "not_found", "There is no such workspace.");
    if (e != OK)
        reply_err(r, e);
    return e == OK;
}

static bool check_text(struct request *r, const char *text, struct credential *c)
{
    struct auth_cached_key cached;
    size_t size = strlen(text);
    if (size == 0 || size > KEY_MAX)
        return reject_unauthenticated(r, "The API key is not valid.");
    if (c->kind == CREDENTIAL_OPERATOR)
        operator_hash(text, size, c->hash);
    else
        api_key_hash(text, size, c->hash);
    if (!look_up(r, c, &cached))
        return false;
    /* looked up first: a key of a workspace that was moved here names the cell where it was made */
    if (!cached.found &&
        auth_reject_foreign(r, c->kind == CREDENTIAL_OPERATOR ? OPERATOR_TOKEN_PREFIX : API_KEY_SCHEME, text))
        return false;
    if (!is_valid(r, &cached))
        return reject_unauthenticated(r, "The API key is not valid.");
    return grant_access(r, &cached);
}

bool auth_check_token(struct request *r, const char *token)
{
    bool is_operator = strncmp(token, OPERATOR_TOKEN_PREFIX, strlen(OPERATOR_TOKEN_PREFIX)) == 0;
    return check_text(r, token,
                      &(struct credential){.kind = is_operator ? CREDENTIAL_OPERATOR : CREDENTIAL_KEY});
}

static bool check_cookie(struct request *r, const char *token)
{
    struct credential c = {.kind = CREDENTIAL_SESSION};
    struct auth_cached_key cached = {.found = false};
    size_t size = strlen(token);
    if (!console_check_page(r))
        return false;
    session_hash(token, size, c.hash);
    if (size <= KEY_MAX && !look_up(r, &c, &cached))
        return false;
    if (!cached.found && auth_reject_foreign(r, "", token))
        return false;
    if (!is_valid(r, &cached)) {
        /* No other request removes it: its late response would remove the cookie of a newer session. */
        if (r->route->flags & ROUTE_SESSION)
            console_set_cookie(r, "", 0);
        return reject_unauthenticated(r, "The session has ended; sign in again.");
    }
    return grant_access(r, &cached) && (!id_is_set(&r->access.operator_id) || enter_workspace(r));
}

bool auth_find_replaced_session(struct request *r, struct session_replaced *old_r)
{
    const char *key, *cookie;
    struct credential c = {.kind = CREDENTIAL_SESSION};
    struct auth_cached_key cached;
    int cookies = console_find_cookie(r, &cookie);
    *old_r = (struct session_replaced){.workspace = NULL};
    if (auth_find_key(r, &key) != 0)
        return reject_unauthenticated(r, "An API key was sent in a header; signing in takes it in the body.");
    if (cookies < 0)
        return reject_several_cookies(r);
    if (cookies == 0 || strlen(cookie) > KEY_MAX)
        return true;
    session_hash(cookie, strlen(cookie), c.hash);
    if (!look_up(r, &c, &cached))
        return false;
    if (!cached.found)
        return true;
    old_r->id = cached.session_id;
    if (id_is_set(&cached.workspace_id))
        old_r->workspace = talloc_memdup(r, &cached.workspace_id, sizeof cached.workspace_id);
    return true;
}

bool auth_check(struct request *r)
{
    const char *key, *cookie;
    int keys = auth_find_key(r, &key), cookies = console_find_cookie(r, &cookie);
    if (keys != 0 && cookies != 0)
        return reject_unauthenticated(r, "An API key and a session's cookie were sent; send one.");
    if (cookies > 0)
        return check_cookie(r, cookie);
    if (keys == 0 && cookies == 0)
        return reject_unauthenticated(r, "An API key is required: Authorization: Bearer KEY.");
    if (cookies < 0)
        return reject_several_cookies(r);
    if (keys < 0)
        return reject_unauthenticated(r, "Several API keys were sent; send one.");
    if (!check_text(r, key, &(struct credential){.kind = CREDENTIAL_KEY}))
        return false;
    r->access.by_header = true;
    return true;
}

const id *auth_credential(const struct request *r)
{
    return id_is_set(&r->access.session_id) ? &r->access.session_id : &r->access.key_id;
}

void auth_forget_session(struct request *r)
{
    const char *token;
    struct auth_cached_key gone;
    uint8_t hash[SESSION_HASH_SIZE];
    if (console_find_cookie(r, &token) != 1)
        return;
    session_hash(token, strlen(token), hash);
    memset(&gone, 0, sizeof gone);
    gone.fetched_ms = clock_boot_ms();
    shared_cache_put(r->app->shared->keys, hash, &gone);
}

bool auth_take_rate(struct request *r)
{
    struct app *app = r->app;
    int64_t limit = r->access.rate_limit ? r->access.rate_limit : app->config->api.rate_limit_per_minute;
    /* an operator's requests are not those of the workspace */
    bool is_operator = id_is_set(&r->access.operator_id);
    const id *account = is_operator ? &r->access.operator_id : &r->access.workspace_id;
    r->rate = rate_take(&app->shared->rate, app->redis, r, account, limit);
    if (r->rate.verdict != RATE_LIMITED)
        return true;
    reply_header(r, "Retry-After", "%lld", (long long)r->rate.reset_s);
    if (is_operator)
        reply_problem(r, 429, "rate_limited", "The operator has used the limit of %lld requests per minute.",
                      (long long)r->rate.limit);
    else
        reply_problem(r, 429, "rate_limited", "The workspace has used its limit of %lld requests per minute.",
                      (long long)r->rate.limit);
    return false;
}

bool auth_check_ticket(struct request *r)
{
    int last = 0;
    id execution;
    struct ticket_access access;
    while (last + 1 < PATH_VALUES_MAX && r->path_values[last + 1])
        last++;
    int64_t now_ms = clock_boot_ms();
    if (!request_path_id(r, last, &execution) || !auth_take_look_up(r, now_ms))
        return false;
    const char *ticket = request_query(r, "ticket");
    enum err e = ticket_use(r->app->db, r, ticket, &execution, &access);
    if (e == ERR_DENIED && auth_reject_foreign(r, "", ticket))
        return false;
    if (e == ERR_DENIED)
        return reject_unauthenticated(r, "The ticket is not valid for this execution or has expired.");
    auth_give_back_look_up(r, now_ms);
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

static enum err record_operator_work(struct db_tx *tx, void *arg)
{
    const struct request *r = arg;
    const id *workspace = &r->access.workspace_id;
    const char *target = talloc_asprintf(tx->ctx, "%s %s", r->method, r->raw_path);
    const struct deed_detail detail[] = {{"operator_id", r->access.operator_id.text}, {0}};
    return deed_record(tx, "operator.request", id_is_set(workspace) ? workspace : NULL, target, detail);
}

/* A GET that needs a scope to write may write: GET /webhooks/secret makes the secret that it reveals. */
static bool is_read(const struct request *r)
{
    return (strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0) &&
           !scopes_have_write(r->route->scopes);
}

bool auth_record_operator(struct request *r)
{
    if (!id_is_set(&r->access.operator_id) || r->route->flags & ROUTE_SESSION || is_read(r))
        return true;
    enum err e = db_transaction(r->app->db, record_operator_work, r);
    if (e != OK)
        reply_err(r, e);
    return e == OK;
}

bool auth_require_session(struct request *r)
{
    return id_is_set(&r->access.session_id) ||
           reject_unauthenticated(r, "There is no session: sign in first.");
}

void auth_record_use(struct request *r)
{
    const id *session = &r->access.session_id;
    if (!r->access.last_used_is_stale)
        return;
    if (id_is_set(session) && session_mark_used(r->app->db, r, session, clock_wall_ms()) != OK)
        /* the next request tries again */
        log_debug("auth.last_used_update_failed", "session=%s", session->text);
    const id *operator= & r->access.operator_id;
    if (id_is_set(operator)) {
        if (operator_mark_used(r->app->db, r, operator, clock_wall_ms()) != OK)
            log_debug("auth.last_used_update_failed", "operator=%s", operator->text);
        return;
    }
    if (api_key_mark_used(r->app->db, r, &r->access.key_id, clock_wall_ms()) != OK)
        /* the next request tries again */
        log_debug("auth.last_used_update_failed", "key=%s", r->access.key_id.text);
}
