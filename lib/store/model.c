#include "store/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "deed/deed.h"
#include "mariadb/db.h"
#include "secret/secrets.h"

bool model_alias_fits(const char *alias)
{
    size_t n = strspn(alias, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:/");
    return n > 0 && n <= MODEL_ALIAS_MAX && !alias[n];
}

bool model_url_fits(const char *url)
{
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    if (!scheme || strlen(url) > MODEL_URL_MAX || strpbrk(url, "@?#\\ \"<>"))
        return false;
    for (const char *p = url; *p; p++) {
        if (*p <= ' ' || *p == 0x7f)
            return false;
    }
    return url[scheme] != '\0' && url[scheme] != '/' && url[scheme] != ':';
}

char *model_seal_name(void *ctx, const char *alias)
{
    char *name = talloc_asprintf(ctx, "model.%s", alias);
    for (char *p = name; *p; p++) {
        if (*p == '/' || *p == ':')
            *p = '.';
    }
    name[strlen(name) > SECRET_NAME_MAX ? (size_t)SECRET_NAME_MAX : strlen(name)] = '\0';
    return name;
}

/* A row of model_find, model_default or model_list. */
static enum err model_from_row(void *ctx, const uint8_t *seal, const id *workspace,
                               const struct db_rows *rows, size_t i, struct model *m)
{
    const struct db_cell *nonce = db_cell(rows, i, MODEL_FIND_NONCE),
                         *sealed = db_cell(rows, i, MODEL_FIND_SEALED);
    *m = (struct model){
        .workspace_id = *workspace,
        .alias = db_str(rows, i, MODEL_FIND_ALIAS),
        .url = db_str(rows, i, MODEL_FIND_URL),
        .model = db_str(rows, i, MODEL_FIND_MODEL),
        .has_key = !sealed->is_null,
        .input_price = db_int(rows, i, MODEL_FIND_INPUT_PRICE),
        .output_price = db_int(rows, i, MODEL_FIND_OUTPUT_PRICE),
        .options = db_str(rows, i, MODEL_FIND_OPTIONS),
        .is_default = db_int(rows, i, MODEL_FIND_IS_DEFAULT) != 0,
        .updated_ms = db_int(rows, i, MODEL_FIND_UPDATED_MS),
    };
    if (!seal || !m->has_key)
        return OK;
    char *key;
    size_t size;
    enum err e =
        secret_open(ctx, seal, workspace, model_seal_name(ctx, m->alias), (const uint8_t *)nonce->text,
                    nonce->size, (const uint8_t *)sealed->text, sealed->size, &key, &size);
    if (e != OK)
        log_error("model.key_decrypt_failed", "workspace=%s alias=%s", workspace->text, m->alias);
    m->key = e == OK ? key : NULL;
    return e;
}

enum err model_find(struct db *db, void *ctx, const uint8_t *seal, const id *workspace, const char *alias,
                    struct model *model_r)
{
    struct db_value args[] = {db_id(workspace), db_text(alias)};
    struct db_rows *rows;
    enum err e = alias ? db_run(db, ctx, SQL_MODEL_FIND, args, 2, &rows)
                       : db_run(db, ctx, SQL_MODEL_DEFAULT, args, 1, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    return e == OK ? model_from_row(ctx, seal, workspace, rows, 0, model_r) : e;
}

enum err model_resolve(struct db *db, void *ctx, const id *workspace, const char *alias, const char **alias_r)
{
    struct db_value args[] = {db_id(workspace), db_text(alias), db_text(alias)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_MODEL_RESOLVE, args, 3, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e == OK)
        *alias_r = db_str(rows, 0, MODEL_RESOLVE_ALIAS);
    return e;
}

enum err model_list(struct db *db, void *ctx, const id *workspace, struct model **list_r, size_t *count_r)
{
    struct db_value arg = db_id(workspace);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_MODEL_LIST, &arg, 1, &rows);
    if (e != OK)
        return e;
    *list_r = talloc_array(ctx, struct model, rows->count + 1);
    for (size_t i = 0; e == OK && i < rows->count; i++)
        e = model_from_row(ctx, NULL, workspace, rows, i, &(*list_r)[i]);
    *count_r = rows->count;
    return e;
}

/* --- changes --- */

struct model_write {
    const struct model *m;
    const uint8_t *seal;
};

static enum err model_put_work(struct db_tx *tx, void *arg)
{
    const struct model_write *p = arg;
    const struct model *m = p->m;
    uint8_t nonce[SECRET_NONCE_SIZE];
    size_t size = m->key ? strlen(m->key) : 0;
    uint8_t *sealed = talloc_size(tx->ctx, size + SECRET_SEAL_SIZE);
    if (m->key)
        secret_seal(p->seal, &m->workspace_id, model_seal_name(tx->ctx, m->alias), m->key, size, nonce,
                    sealed);
    struct db_value workspace = db_id(&m->workspace_id);
    struct db_value args[] = {
        [MODEL_PUT_SET_ALIAS] = db_text(m->alias),
        [MODEL_PUT_SET_URL] = db_text(m->url),
        [MODEL_PUT_SET_MODEL] = db_text(m->model),
        [MODEL_PUT_SET_NONCE] = m->key ? db_bytes(nonce, sizeof nonce) : db_null(),
        [MODEL_PUT_SET_SEALED] = m->key ? db_bytes(sealed, size + SECRET_SEAL_SIZE) : db_null(),
        [MODEL_PUT_SET_INPUT_PRICE] = db_number(m->input_price),
        [MODEL_PUT_SET_OUTPUT_PRICE] = db_number(m->output_price),
        [MODEL_PUT_SET_OPTIONS] = db_text(m->options),
        [MODEL_PUT_SET_IS_DEFAULT] = db_number(m->is_default),
        [MODEL_PUT_SET_UPDATED_MS] = db_number(clock_wall_ms()),
        [MODEL_PUT_SET_COUNT] = workspace,
    };
    struct db_rows *rows;
    enum err e = deed_hold(tx, &m->workspace_id);
    if (e == OK && m->is_default)
        e = db_run(tx->db, tx->ctx, SQL_MODEL_CLEAR_DEFAULT, &workspace, 1, NULL);
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_MODEL_PUT, args, MODEL_PUT_SET_COUNT + 1, &rows);
    if (e == OK && rows->affected == 0)
        e = ERR_NOT_FOUND;
    const struct deed_detail detail[] = {
        {"url", m->url}, {"model", m->model}, {"default", m->is_default ? "true" : "false"}, {0}};
    return e == OK ? deed_record(tx, "model.put", &m->workspace_id, m->alias, detail) : e;
}

enum err model_put(struct db *db, const uint8_t *seal, const struct model *m)
{
    struct model_write p = {.m = m, .seal = seal};
    return db_transaction(db, model_put_work, &p);
}

enum err model_delete(struct db *db, const id *workspace, const char *alias)
{
    struct db_value args[] = {db_id(workspace), db_text(alias)};
    return deed_run(
        db, &(struct deed_statement){SQL_MODEL_DELETE, args, 2, "model.delete", workspace, alias, NULL});
}

/* --- money --- */

const char *usd_text(int64_t pico, char out[USD_TEXT_SIZE])
{
    const int64_t dollar = 1000000000000;
    int n = snprintf(out, USD_TEXT_SIZE, "%" PRId64 ".%012" PRId64, pico / dollar, pico % dollar);
    while (out[n - 1] == '0')
        out[--n] = '\0';
    if (out[n - 1] == '.')
        out[--n] = '\0';
    return out;
}

int64_t model_cost(const struct model *m, int64_t input_tokens, int64_t output_tokens)
{
    int64_t in, out, sum;
    if (__builtin_mul_overflow(m->input_price, input_tokens, &in) ||
        __builtin_mul_overflow(m->output_price, output_tokens, &out) || __builtin_add_overflow(in, out, &sum))
        return INT64_MAX;
    return sum;
}
