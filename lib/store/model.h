/* Models that the runs of a workspace may use. An alias stands for the URL of an OpenAI-compatible API, the
 * name of a model there, its key (sealed like secrets, lib/secret/secrets.h) and its prices. At most one
 * model is the workspace's default. */
#pragma once

#include "mariadb/db.h"

enum { MODEL_ALIAS_MAX = 64, MODEL_URL_MAX = 2000, MODEL_NAME_MAX = 200 };

struct model {
    id workspace_id;
    const char *alias, *url, *model;
    bool is_default;
    /* Micro-dollars per million tokens, which is 10^-12 dollars a token. */
    int64_t input_price, output_price;
    /* JSON, model_options.h; NULL: none */
    const char *options;
    int64_t updated_ms;
    bool has_key;
    /* Set if a sealing key was given; NUL-terminated, wiped when it is freed. */
    const char *key;
};

/* True for 1 to MODEL_ALIAS_MAX characters of A-Z a-z 0-9 _ - . : / */
bool model_alias_fits(const char *alias);
/* True for an http or https URL with a host and without user, query or fragment. */
bool model_url_fits(const char *url);

/* Keys are sealed like a secret of this name, which binds them to the workspace and the alias. */
char *model_seal_name(void *ctx, const char *alias);
/* Inserts or replaces `m`. m->key is sealed with `seal`; NULL: the model needs no key. If m->is_default is
 * set, the present default is cleared. ERR_NOT_FOUND: no such workspace. */
enum err model_put(struct db *db, const uint8_t *seal, const struct model *m) WARN_UNUSED;
/* Finds a model by its alias, or the default if `alias` is NULL. The model's key is opened with `seal`; with
 * NULL it is not read. ERR_NOT_FOUND: no such model. ERR_DENIED: the key could not be decrypted (logged). */
enum err model_find(struct db *db, void *ctx, const uint8_t *seal, const id *workspace, const char *alias,
                    struct model *model_r) WARN_UNUSED;
/* Checks that the workspace has the alias, or, for NULL, finds the alias of its default. The API, which may
 * not read keys, uses this. ERR_NOT_FOUND: no such model. */
enum err model_resolve(struct db *db, void *ctx, const id *workspace, const char *alias,
                       const char **alias_r) WARN_UNUSED;
/* All models of a workspace, sorted by alias, without keys. */
enum err model_list(struct db *db, void *ctx, const id *workspace, struct model **list_r,
                    size_t *count_r) WARN_UNUSED;
/* ERR_NOT_FOUND: no such model. */
enum err model_delete(struct db *db, const id *workspace, const char *alias) WARN_UNUSED;

enum { USD_TEXT_SIZE = 32 };
/* 10^-12 dollars as a decimal without exponent or trailing zeros: 125000000 is "0.000125". Returns `out`. */
const char *usd_text(int64_t pico, char out[USD_TEXT_SIZE]);
/* The price of these tokens in 10^-12 dollars; INT64_MAX on overflow. */
int64_t model_cost(const struct model *m, int64_t input_tokens, int64_t output_tokens);
