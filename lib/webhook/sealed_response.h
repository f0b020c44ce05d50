/* A response that shows a secret, as it is stored for an Idempotency-Key: sealed like the secret itself
 * (secret/seal.h), as text that cannot be taken for JSON. */
#pragma once

#include "base/err.h"
#include "base/ids.h"
#include "base/span.h"

/* The text is of ctx. */
struct span response_seal(void *ctx, const uint8_t *key, const id *workspace, struct span body) WARN_UNUSED;
bool response_is_sealed(struct span stored);
/* The body is of ctx. ERR_DENIED: another key or workspace, or changed bytes. */
enum err response_open(void *ctx, const uint8_t *key, const id *workspace, struct span stored,
                       struct span *body_r) WARN_UNUSED;
