/* API keys: "sk_live_", the cell ("c7_", or nothing) and 43 base64url characters (256 random bits;
 * lib/base/cell.h). The key is shown once and never stored: only its SHA-256 and its first characters are. */
#pragma once

#include "base/cell.h"
#include "mariadb/db.h"

#define API_KEY_SCHEME "sk_live_"
enum {
    API_KEY_TEXT_SIZE = sizeof API_KEY_SCHEME - 1 + SECRET_TEXT_SIZE,
    /* Characters of the key that may be shown later: its scheme, its cell and four random ones. */
    API_KEY_PREFIX_LENGTH = 8 + 4,
    API_KEY_CELL_PREFIX_LENGTH = 8 + 3 + 4,
    API_KEY_HASH_SIZE = 32,
};

struct api_key {
    id id, workspace_id, principal_id;
    const char *prefix;
    /* Bits of lib/base/scopes.h. */
    uint32_t scopes;
    int64_t created_ms;
    /* 0: not set. */
    int64_t expires_ms, revoked_ms, last_used_ms;
};

/* How many characters of a whole key, or of an operator's token, may be shown later. */
size_t api_key_prefix_length(const char *scheme, const char *key);

/* SHA-256, by which a key is found. */
void api_key_hash(const char *key, size_t size, uint8_t hash[API_KEY_HASH_SIZE]);

/* Makes a key of the cell (the setting cell.name) with the id, workspace, principal, scopes and expiry of
 * `k`, and sets k->prefix (on ctx) and k->created_ms. ERR_NOT_FOUND: no such workspace. */
enum err api_key_create(struct db *db, void *ctx, const char *cell, struct api_key *k,
                        char key_r[API_KEY_TEXT_SIZE]) WARN_UNUSED;
/* All keys of a workspace, oldest first, on ctx. */
enum err api_key_list(struct db *db, void *ctx, const id *workspace, struct api_key **list_r,
                      size_t *count_r) WARN_UNUSED;
/* Revoking a key again is no error. ERR_NOT_FOUND: the workspace has no such key. */
enum err api_key_revoke(struct db *db, const id *workspace, const id *key) WARN_UNUSED;

/* Limits of a workspace that its requests need. */
struct api_key_limits {
    /* Requests a minute; 0: the setting's. */
    int64_t rate_limit;
    /* QUOTA_STREAMS; -1: the setting's. */
    int64_t streams;
    /* The workspace is being moved to another cell, or was moved. */
    bool is_frozen;
};
/* For authentication: the key with this hash, and limits of its workspace.
 * Also finds expired and revoked keys; the caller checks both. ERR_NOT_FOUND: no such key. ERR_UNAVAILABLE:
 * MariaDB is unavailable. */
enum err api_key_find(struct db *db, void *ctx, const uint8_t hash[API_KEY_HASH_SIZE], struct api_key *key_r,
                      struct api_key_limits *limits_r) WARN_UNUSED;
/* Stores the time of last use, at most once a minute. */
enum err api_key_mark_used(struct db *db, void *ctx, const id *key, int64_t now_ms) WARN_UNUSED;

/* Those of `n` keys that are neither revoked nor expired, on ctx, in any order, repetitions possible. */
enum err api_key_filter_valid(struct db *db, void *ctx, const id *keys, size_t n, id **list_r,
                              size_t *count_r) WARN_UNUSED;
