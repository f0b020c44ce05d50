/* The models that runs of a space may use: an alias stands for the URL of an OpenAI-compatible API, the name
 * of a model there, its key (sealed like secrets, lib/secret/secrets.h) and its prices. At most one is the
 * space's default. */
#pragma once

#include "mariadb/db.h"

enum { MODEL_ALIAS_MAX = 64, MODEL_URL_MAX = 2000, MODEL_NAME_MAX = 200 };

struct model {
    id workspace_id;
    const char *alias, *url, *model;
    bool is_default;
    int64_t input_price, output_price; /* micro-dollars per million tokens, that is 10^-12 dollars a token */
    int64_t updated_ms;
    bool has_key;
    const char *key; /* where a sealing key was given; NUL-terminated, wiped when it goes */
};

/* 1 to 64 of A-Z a-z 0-9 _ - . : / */
bool model_alias_fits(const char *alias);
/* http or https, a host, no user, query or fragment. */
bool model_url_fits(const char *url);

/* Sets `m`, with m->key sealed (NULL: none is sent). As the default it takes that from any other.
 * ERR_NOT_FOUND: no such workspace. */
enum err model_put(struct db *db, const uint8_t *seal, const struct model *m) WARN_UNUSED;
/* By alias; NULL: the default. `seal` opens the key (NULL: it is not read). ERR_NOT_FOUND; ERR_DENIED: the
 * key does not open (logged). */
enum err model_find(struct db *db, void *ctx, const uint8_t *seal, const id *workspace, const char *alias,
                    struct model *model_r) WARN_UNUSED;
/* Whether the space has the alias, and (NULL) what its default is: all that the API may know. ERR_NOT_FOUND.
 */
enum err model_resolve(struct db *db, void *ctx, const id *workspace, const char *alias,
                       const char **alias_r) WARN_UNUSED;
/* All of a workspace, by alias, without keys. */
enum err model_list(struct db *db, void *ctx, const id *workspace, struct model **list_r,
                    size_t *count_r) WARN_UNUSED;
enum err model_delete(struct db *db, const id *workspace, const char *alias) WARN_UNUSED;

enum { USD_TEXT_SIZE = 32 };
/* Money as a decimal without an exponent or needless zeros: 10^-12 dollars ("0.000125"). */
const char *usd_text(int64_t pico, char out[USD_TEXT_SIZE]);
/* What so many tokens cost, in 10^-12 dollars; at most INT64_MAX. */
int64_t model_cost(const struct model *m, int64_t input_tokens, int64_t output_tokens);
