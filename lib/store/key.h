/* API keys: "sk_live_" and 43 base64url characters (256 random bits). The key itself is shown once and never
 * stored: only its SHA-256 and what may be shown of it. */
#pragma once

#include "mariadb/db.h"

enum {
    API_KEY_TEXT_SIZE = 8 + 43 + 1,
    API_KEY_PREFIX_LENGTH = 12, /* of what may be shown */
    API_KEY_HASH_SIZE = 32,
};

struct api_key {
    id id, workspace_id, principal_id;
    const char *prefix;
    uint32_t scopes; /* lib/base/scopes.h */
    int64_t created_ms;
    int64_t expires_ms, revoked_ms, last_used_ms; /* 0: not set */
};

/* What a key is found by. */
void api_key_hash(const char *key, size_t size, uint8_t hash[API_KEY_HASH_SIZE]);

/* Makes a key of `k`'s id, workspace, principal, scopes and expiry; k->prefix and k->created_ms are filled
 * in. ERR_NOT_FOUND: no such workspace. */
enum err api_key_create(struct db *db, void *ctx, struct api_key *k,
                        char key_r[API_KEY_TEXT_SIZE]) WARN_UNUSED;
/* All keys of a workspace, the oldest first; of ctx. */
enum err api_key_list(struct db *db, void *ctx, const id *workspace, struct api_key **list_r,
                      size_t *count_r) WARN_UNUSED;
/* From now on it opens nothing; again is no error. ERR_NOT_FOUND: the workspace has no such key. */
enum err api_key_revoke(struct db *db, const id *workspace, const id *key) WARN_UNUSED;

/* For the API: the key of that hash, and its workspace's requests a minute (0: the setting's). ERR_NOT_FOUND
 * where there is none, ERR_BUSY. Whether it is expired or revoked is the caller's to see. */
enum err api_key_find(struct db *db, void *ctx, const uint8_t hash[API_KEY_HASH_SIZE], struct api_key *key_r,
                      int64_t *rate_limit_r) WARN_UNUSED;
/* Keeps when it was last used, to the minute. */
enum err api_key_mark_used(struct db *db, void *ctx, const id *key, int64_t now_ms) WARN_UNUSED;

/* Those of `n` keys that are neither revoked nor expired, of ctx, in any order, perhaps repeated. */
enum err api_key_filter_valid(struct db *db, void *ctx, const id *keys, size_t n, id **list_r,
                              size_t *count_r) WARN_UNUSED;
