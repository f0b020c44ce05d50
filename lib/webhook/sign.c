#include "webhook/sign.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const char secret_prefix[] = "whsec_";
static const char version_prefix[] = "v1,";

void webhook_secret_make(char secret_r[WEBHOOK_SECRET_SIZE])
{
    uint8_t key[WEBHOOK_KEY_SIZE];
    randombytes_buf(key, sizeof key);
    char *end = stpcpy(secret_r, secret_prefix);
    sodium_bin2base64(end, WEBHOOK_SECRET_SIZE - strlen(secret_prefix), key, sizeof key,
                      sodium_base64_VARIANT_ORIGINAL);
    sodium_memzero(key, sizeof key);
}

/* The size of the key; 0: the secret is malformed. */
static size_t read_key(const char *secret, uint8_t key_r[WEBHOOK_KEY_MAX])
{
    const char *text = secret + strlen(secret_prefix), *end;
    size_t size = 0;
    if (strncmp(secret, secret_prefix, strlen(secret_prefix)) != 0 ||
        sodium_base642bin(key_r, WEBHOOK_KEY_MAX, text, strlen(text), NULL, &size, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        *end || size < WEBHOOK_KEY_MIN)
        return 0;
    return size;
}

bool webhook_secret_fits(const char *secret)
{
    uint8_t key[WEBHOOK_KEY_MAX];
    bool fits = read_key(secret, key) > 0;
    sodium_memzero(key, sizeof key);
    return fits;
}

bool webhook_sign(const char *secret, const char *message_id, int64_t timestamp_s, const char *body,
                  size_t body_size, char signature_r[WEBHOOK_SIGNATURE_SIZE])
{
    uint8_t key[WEBHOOK_KEY_MAX], mac[crypto_auth_hmacsha256_BYTES];
    char timestamp[32];
    crypto_auth_hmacsha256_state state;
    size_t size = read_key(secret, key);
    if (size == 0)
        return false;
    snprintf(timestamp, sizeof timestamp, ".%" PRId64 ".", timestamp_s);
    crypto_auth_hmacsha256_init(&state, key, size);
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)message_id, strlen(message_id));
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)timestamp, strlen(timestamp));
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)body, body_size);
    crypto_auth_hmacsha256_final(&state, mac);
    char *end = stpcpy(signature_r, version_prefix);
    sodium_bin2base64(end, WEBHOOK_SIGNATURE_SIZE - strlen(version_prefix), mac, sizeof mac,
                      sodium_base64_VARIANT_ORIGINAL);
    sodium_memzero(key, sizeof key);
    sodium_memzero(&state, sizeof state);
    return true;
}
