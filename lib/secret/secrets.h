/* Secrets of workspaces: what ${/secrets/NAME} stands for in http steps. Kept sealed with libsodium
 * (XChaCha20-Poly1305, a random nonce each; workspace and name are authenticated with it, so that a row that
 * was moved does not open) under a key from a file that is not in the database. Values are never logged;
 * memory that held one is wiped when it goes. */
#pragma once

#include <sodium.h>

#include "mariadb/db.h"

enum {
    SECRET_KEY_SIZE = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,    /* 32 */
    SECRET_NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, /* 24 */
    SECRET_SEAL_SIZE = crypto_aead_xchacha20poly1305_ietf_ABYTES,     /* sealed = value + this */
    SECRET_NAME_MAX = 64,
    SECRET_VALUE_MIN = 4, /* shorter ones would be redacted out of half of what is shown */
    SECRET_VALUE_MAX = 32768,
};

struct secret {
    const char *name;
    int64_t updated_ms;
    const char *value; /* NUL-terminated; NULL in secrets_list without a key */
    size_t size;
};

/* Reads the key file: 32 bytes, base64. ERR_INVALID with a sentence in *why_r (static) where it cannot be
 * had, or where all the world may read it. */
enum err secrets_load_key(const char *path, uint8_t key[SECRET_KEY_SIZE], const char **why_r) WARN_UNUSED;
/* Makes a new key file of mode 0600; never overwrites one (ERR_CONFLICT). */
enum err secrets_make_key(const char *path) WARN_UNUSED;

/* 1 to 64 of A-Z a-z 0-9 _ - . */
bool secret_name_fits(const char *name);
/* UTF-8 text of SECRET_VALUE_MIN to SECRET_VALUE_MAX bytes without NUL. */
bool secret_value_fits(const char *value, size_t size);

/* The seal by itself. sealed_r has room for size + SECRET_SEAL_SIZE. */
void secret_seal(const uint8_t key[SECRET_KEY_SIZE], const id *workspace, const char *name, const char *value,
                 size_t size, uint8_t nonce_r[SECRET_NONCE_SIZE], uint8_t *sealed_r);
/* A value of ctx, NUL-terminated. ERR_DENIED: another key, or not the row it was sealed for. */
enum err secret_open(void *ctx, const uint8_t key[SECRET_KEY_SIZE], const id *workspace, const char *name,
                     const uint8_t *nonce, size_t nonce_size, const uint8_t *sealed, size_t sealed_size,
                     char **value_r, size_t *size_r) WARN_UNUSED;

/* ERR_NOT_FOUND: no such workspace. */
enum err secret_set(struct db *db, const uint8_t key[SECRET_KEY_SIZE], const id *workspace, const char *name,
                    const char *value, size_t size) WARN_UNUSED;
/* ERR_NOT_FOUND: the workspace has no such secret; ERR_DENIED as secret_open (logged, without the value). */
enum err secret_get(struct db *db, void *ctx, const uint8_t key[SECRET_KEY_SIZE], const id *workspace,
                    const char *name, char **value_r, size_t *size_r) WARN_UNUSED;
/* All of a workspace by name; with a key, with their values. Of ctx. */
enum err secrets_list(struct db *db, void *ctx, const uint8_t *key, const id *workspace,
                      struct secret **list_r, size_t *count_r) WARN_UNUSED;
enum err secret_delete(struct db *db, const id *workspace, const char *name) WARN_UNUSED;
