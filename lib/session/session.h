/* Sessions of the console. A person exchanges an API key or an operator's token for a cookie, so that it is
 * not kept in the browser. The cookie is the cell ("c7_", or nothing) and 256 random bits (lib/base/cell.h);
 * only its hash is stored. A session has the scopes of its key, or of its operator's role. It ends when the
 * key or the operator is revoked or expires, when it was not used for the idle time, at its absolute end, or
 * when it is deleted. */
#pragma once

#include "mariadb/db.h"
#include "session/operator.h"
#include "store/key.h"

enum {
    SESSION_TOKEN_SIZE = SECRET_TEXT_SIZE,
    SESSION_HASH_SIZE = API_KEY_HASH_SIZE,
    /* Sessions of one key or operator; a further one ends the least recently used. The LIMIT of
     * session_trim.sql and session_trim_operator.sql. */
    SESSIONS_OF_KEY_MAX = 100,
    /* The time of last use is stored at most this often. */
    SESSION_USED_STEP_MS = 60 * 1000,
};

/* BLAKE2b, by which a session is found. Another function than that of API keys, so that no text has the hash
 * of a session when it is sent as a key: what the workers cache of both stands in one table. */
void session_hash(const char *token, size_t size, uint8_t hash[SESSION_HASH_SIZE]);

struct session {
    /* One of the two is set. */
    id id, key_id, operator_id;
    /* Unix milliseconds. */
    int64_t created_ms, used_ms, ends_ms;
};

/* The session that a browser had before it signed in again. */
struct session_replaced {
    /* Not set: there was none. */
    id id;
    /* Of its key, for the audit log; NULL: an operator's. */
    const id *workspace;
};

/* Makes a session of the cell (the setting cell.name), of s->key_id or s->operator_id that ends after
 * `lifetime_ms`, sets the other fields, and deletes the session `old` in the same transaction; nothing
 * happens if `old` is gone already. `workspace` is that of the key, for the audit log; NULL for an operator.
 * Errors as of db_transaction. */
enum err session_create(struct db *db, const char *cell, struct session *s, const id *workspace,
                        int64_t lifetime_ms, const struct session_replaced *old,
                        char token_r[SESSION_TOKEN_SIZE]) WARN_UNUSED;
/* For authentication: the session with this hash, its key, and limits of the key's workspace. For an
 * operator's session, operator_r->id is set, with name and role on ctx, and *key_r stands for the operator:
 * it has its id, the scopes of its role, its end, and no workspace. Also finds sessions that have ended; the
 * caller checks the session and the key. ERR_NOT_FOUND: no such session. */
enum err session_find(struct db *db, void *ctx, const uint8_t hash[SESSION_HASH_SIZE],
                      struct session *session_r, struct api_key *key_r, struct operator* operator_r,
                      struct api_key_limits *limits_r) WARN_UNUSED;
/* Whether the session's own times allow its use. `idle_ms` is the setting console.idle_minutes. */
bool session_is_open(const struct session *s, int64_t idle_ms, int64_t now_ms);
/* Stores the time of last use, at most once a minute. */
enum err session_mark_used(struct db *db, void *ctx, const id *session, int64_t now_ms) WARN_UNUSED;
/* `workspace` NULL: an operator's. ERR_NOT_FOUND: it has ended already. */
enum err session_delete(struct db *db, const id *session, const id *workspace) WARN_UNUSED;

/* What the person may know of a session. */
struct session_description {
    struct session session;
    /* The displayed beginning of the key, or the operator's name. */
    const char *name;
    /* 0: of a key */
    enum role role;
    uint32_t scopes;
    /* Of the key; not set for an operator. */
    id workspace_id;
    const char *workspace_name;
    /* Of the key or the operator; 0: it does not expire. */
    int64_t owner_expires_ms;
};
/* Texts on ctx. ERR_NOT_FOUND: no such session. */
enum err session_describe(struct db *db, void *ctx, const id *session,
                          struct session_description *description_r) WARN_UNUSED;

/* Those of `n` ids that are API keys that are neither revoked nor expired, or sessions that have not ended.
 * On ctx, in any order, repetitions possible. */
enum err session_filter_credentials(struct db *db, void *ctx, const id *ids, size_t n, int64_t idle_ms,
                                    id **list_r, size_t *count_r) WARN_UNUSED;
