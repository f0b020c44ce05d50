/* Secrets and signatures of the Standard Webhooks specification, version 1.0.0 (standardwebhooks.com).
 *
 * A secret is "whsec_" and 24 to 64 bytes in base64. The signature is HMAC-SHA256 of "ID.TIMESTAMP.BODY" with
 * these bytes, in base64, after "v1,". While a secret is being replaced the header holds two signatures,
 * separated by a space. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WEBHOOK_KEY_MIN = 24,
    WEBHOOK_KEY_MAX = 64,
    /* of a secret that is made here */
    WEBHOOK_KEY_SIZE = 32,
    /* "whsec_", 64 bytes in base64, NUL */
    WEBHOOK_SECRET_SIZE = 6 + 88 + 1,
    /* "v1,", 32 bytes in base64, NUL */
    WEBHOOK_SIGNATURE_SIZE = 3 + 44 + 1,
};

/* Makes a random secret. libsodium must be initialized. */
void webhook_secret_make(char secret_r[WEBHOOK_SECRET_SIZE]);
/* True if the text is a secret of this form. */
bool webhook_secret_fits(const char *secret);
/* Signs a message: `timestamp_s` in Unix seconds. False if the secret is malformed. */
bool webhook_sign(const char *secret, const char *message_id, int64_t timestamp_s, const char *body,
                  size_t body_size, char signature_r[WEBHOOK_SIGNATURE_SIZE]);
