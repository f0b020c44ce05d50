#include "webhook/sealed_response.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "secret/seal.h"

/* The name under which responses are sealed: no webhook has it. */
static const char seal_name[] = "response";
static const char mark[] = "sealed:";
enum { MARK = sizeof mark - 1, VARIANT = sodium_base64_VARIANT_ORIGINAL };

struct span response_seal(void *ctx, const uint8_t *key, const id *workspace, struct span body)
{
    size_t size = SECRET_NONCE_SIZE + body.size + SECRET_SEAL_SIZE;
    size_t room = MARK + sodium_base64_ENCODED_LEN(size, VARIANT);
    uint8_t *bytes = talloc_array(ctx, uint8_t, size);
    char *text = talloc_array(ctx, char, room);
    secret_seal(key, workspace, seal_name, body.at, body.size, bytes, bytes + SECRET_NONCE_SIZE);
    memcpy(text, mark, MARK);
    sodium_bin2base64(text + MARK, room - MARK, bytes, size, VARIANT);
    talloc_free(bytes);
    return span_text(text);
}

bool response_is_sealed(struct span stored)
{
    return stored.at && stored.size > MARK && memcmp(stored.at, mark, MARK) == 0;
}

enum err response_open(void *ctx, const uint8_t *key, const id *workspace, struct span stored,
                       struct span *body_r)
{
    uint8_t *bytes = talloc_array(ctx, uint8_t, stored.size);
    size_t size = 0, body_size = 0;
    char *body = NULL;
    enum err e = ERR_DENIED;
    if (key && response_is_sealed(stored) &&
        sodium_base642bin(bytes, stored.size, stored.at + MARK, stored.size - MARK, NULL, &size, NULL,
                          VARIANT) == 0 &&
        size >= SECRET_NONCE_SIZE + SECRET_SEAL_SIZE)
        e = secret_open(ctx, key, workspace, seal_name, bytes, SECRET_NONCE_SIZE, bytes + SECRET_NONCE_SIZE,
                        size - SECRET_NONCE_SIZE, &body, &body_size);
    talloc_free(bytes);
    *body_r = (struct span){body, body_size};
    return e;
}
