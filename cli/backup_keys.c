#include "cli/backup_keys.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "secret/seal.h"

/* The fingerprint of the key in a file: NULL with *why_r NULL if there is no such setting. */
static const char *fingerprint(void *ctx, const char *path, const char **why_r)
{
    static const char text[] = "millrace: fingerprint of a key";
    uint8_t key[SECRET_KEY_SIZE], sum[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof sum + 1];
    crypto_hash_sha256_state state;
    *why_r = NULL;
    if (!*path || secrets_load_key(path, key, why_r) != OK)
        return NULL;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const unsigned char *)text, sizeof text - 1);
    crypto_hash_sha256_update(&state, key, sizeof key);
    crypto_hash_sha256_final(&state, sum);
    sodium_memzero(key, sizeof key);
    sodium_bin2hex(hex, sizeof hex, sum, sizeof sum);
    return talloc_strndup(ctx, hex, MANIFEST_KEY_TEXT);
}

bool backup_read_keys(struct cli *cli, const char **secrets_r, const char **webhooks_r)
{
    const char *why;
    *secrets_r = fingerprint(cli->ctx, cli->config->secrets.key_file, &why);
    if (why) {
        cli_fail(cli, "%s %s", cli->config->secrets.key_file, why);
        return false;
    }
    *webhooks_r = fingerprint(cli->ctx, cli->config->webhooks.key_file, &why);
    if (why)
        cli_fail(cli, "%s %s", cli->config->webhooks.key_file, why);
    return !why;
}

static const char *compare(void *ctx, const char *path, const char *expected)
{
    const char *why;
    if (!expected)
        return "none";
    const char *here = fingerprint(ctx, path, &why);
    if (!here)
        return "missing here";
    return strcmp(here, expected) == 0 ? "same" : "different";
}

json_object *backup_compare_keys(struct cli *cli, const struct manifest *m)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "secrets", compare(cli->ctx, cli->config->secrets.key_file, m->secrets_key));
    cli_add_text(o, "webhooks", compare(cli->ctx, cli->config->webhooks.key_file, m->webhooks_key));
    return o;
}
