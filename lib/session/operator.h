/* Operators of the installation: people who look at all workspaces by the console, with the rights of a role.
 * An operator's token is "op_live_", the cell ("c7_", or nothing) and 43 base64url characters (256 random
 * bits; lib/base/cell.h). It is shown once; only its hash and its first characters are stored. It is no API
 * key: it only opens a session of the console. */
#pragma once

#include "mariadb/db.h"
#include "session/role.h"
#include "store/key.h"

#define OPERATOR_TOKEN_PREFIX "op_live_"
enum {
    OPERATOR_TOKEN_SIZE = API_KEY_TEXT_SIZE,
    /* Bytes of a name. */
    OPERATOR_NAME_MAX = 64,
};

struct operator
{
    id id;
    const char *name, *prefix;
    enum role role;
    int64_t created_ms;
    /* 0: not set. */
    int64_t expires_ms, revoked_ms, last_used_ms;
};

/* BLAKE2b with a key, so that no text has the hash of an operator's token and that of an API key or
 * session. */
void operator_hash(const char *token, size_t size, uint8_t hash[API_KEY_HASH_SIZE]);

/* Makes an operator of the cell (the setting cell.name) with the id, name, role and expiry of `o`, and sets
 * o->prefix (on ctx) and o->created_ms. ERR_CONFLICT: an operator that is not revoked has the name. */
enum err operator_create(struct db *db, void *ctx, const char *cell, struct operator* o,
                         char token_r[OPERATOR_TOKEN_SIZE]) WARN_UNUSED;
/* All operators, oldest first, on ctx. */
enum err operator_list(struct db *db, void *ctx, struct operator** list_r, size_t *count_r) WARN_UNUSED;
/* The operator with this id or name. ERR_NOT_FOUND: there is none. */
enum err operator_find_name(struct db *db, void *ctx, const char *text, id *operator_r) WARN_UNUSED;
/* Ends the sessions of the operator within one second. Revoking again is no error. */
enum err operator_revoke(struct db *db, const id *operator) WARN_UNUSED;
/* For signing in. Also finds expired and revoked operators; the caller checks both. ERR_NOT_FOUND: there is
 * none. */
enum err operator_find(struct db *db, void *ctx, const uint8_t hash[API_KEY_HASH_SIZE],
                       struct operator* operator_r) WARN_UNUSED;
/* Stores the time of last use, at most once a minute. */
enum err operator_mark_used(struct db *db, void *ctx, const id *operator, int64_t now_ms) WARN_UNUSED;

/* The workspace that a request names, its limit of streams (-1: the setting's), and whether it is being moved
 * to another cell, or was moved. ERR_NOT_FOUND: no such
 * workspace. */
enum err operator_workspace(struct db *db, void *ctx, const id *workspace, int64_t *streams_r,
                            bool *is_frozen_r) WARN_UNUSED;
