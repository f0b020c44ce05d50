/* Encryption of secrets with libsodium: XChaCha20-Poly1305 with a random nonce for each value. The workspace
 * and the secret's name are authenticated with the value, so that a sealed value that was copied to another
 * row cannot be opened there. The key is in a file outside of the database. */
#pragma once

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ids.h"

enum {
    /* 32 */
    SECRET_KEY_SIZE = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    /* 24 */
    SECRET_NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    /* a sealed value is this much longer than the value: 16 */
    SECRET_SEAL_SIZE = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    SECRET_NAME_MAX = 64,
    /* shorter values would be found, and redacted, in much of what is shown */
    SECRET_VALUE_MIN = 4,
    SECRET_VALUE_MAX = 32768,
    /* a shorter value gets a warning */
    SECRET_VALUE_SHORT = 8,
};

/* --- the key file: 32 bytes in base64 --- */

/* Reads the key. ERR_INVALID: it cannot be read, or other users may access the file; *why_r is the rest of a
 * sentence that begins with the file (static memory). */
enum err secrets_load_key(const char *path, uint8_t key[SECRET_KEY_SIZE], const char **why_r) WARN_UNUSED;
/* Creates a file of mode 0600 with a new random key. ERR_CONFLICT: the file exists; it is never overwritten.
 * ERR_INVALID: it cannot be created. ERR_INTERNAL: it cannot be written. */
enum err secrets_make_key(const char *path) WARN_UNUSED;

/* --- names and values --- */

/* 1 to 64 characters of A-Z a-z 0-9 _ - . */
bool secret_name_fits(const char *name);
/* SECRET_VALUE_MIN to SECRET_VALUE_MAX bytes of UTF-8 without NUL. */
bool secret_value_fits(const char *value, size_t size);
/* What the owner of the value should know about its redaction (secret/redact.h): a sentence, static. NULL:
 * nothing. */
const char *secret_value_warning(const char *value, size_t size);

/* --- the seal --- */

/* Encrypts a value. sealed_r has room for size + SECRET_SEAL_SIZE bytes. The name is at most SECRET_NAME_MAX
 * bytes. */
void secret_seal(const uint8_t key[SECRET_KEY_SIZE], const id *workspace, const char *name, const char *value,
                 size_t size, uint8_t nonce_r[SECRET_NONCE_SIZE], uint8_t *sealed_r);
/* Decrypts a value into memory of ctx, NUL-terminated, that is wiped when it is freed. ERR_DENIED: another
 * key, another workspace or name than it was sealed for, or changed bytes. */
enum err secret_open(void *ctx, const uint8_t key[SECRET_KEY_SIZE], const id *workspace, const char *name,
                     const uint8_t *nonce, size_t nonce_size, const uint8_t *sealed, size_t sealed_size,
                     char **value_r, size_t *size_r) WARN_UNUSED;
