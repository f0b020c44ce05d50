#include "secret/secrets.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "deed/deed.h"

enum err secret_set(struct db *db, const uint8_t key[SECRET_KEY_SIZE], const id *workspace, const char *name,
                    const char *value, size_t size)
{
    void *scratch = talloc_new(NULL);
    uint8_t nonce[SECRET_NONCE_SIZE];
    uint8_t *sealed = talloc_size(scratch, size + SECRET_SEAL_SIZE);
    secret_seal(key, workspace, name, value, size, nonce, sealed);
    struct db_value args[] = {
        [SECRET_PUT_SET_NAME] = db_text(name),
        [SECRET_PUT_SET_NONCE] = db_bytes(nonce, sizeof nonce),
        [SECRET_PUT_SET_SEALED] = db_bytes(sealed, size + SECRET_SEAL_SIZE),
        [SECRET_PUT_SET_UPDATED_MS] = db_number(clock_wall_ms()),
        [SECRET_PUT_SET_COUNT] = db_id(workspace),
    };
    enum err e = deed_run(db, &(struct deed_statement){SQL_SECRET_PUT, args, SECRET_PUT_SET_COUNT + 1,
                                                       "secret.set", workspace, name, NULL});
    talloc_free(scratch);
    return e;
}

/* Decrypts the value of a row of secret_find or secret_list. */
static enum err open_secret_row(void *ctx, const uint8_t *key, const id *workspace,
                                const struct db_rows *rows, size_t i, char **value_r, size_t *size_r)
{
    const char *name = db_str(rows, i, SECRET_FIND_NAME);
    const struct db_cell *nonce = db_cell(rows, i, SECRET_FIND_NONCE),
                         *sealed = db_cell(rows, i, SECRET_FIND_SEALED);
    enum err e = secret_open(ctx, key, workspace, name, (const uint8_t *)nonce->text, nonce->size,
                             (const uint8_t *)sealed->text, sealed->size, value_r, size_r);
    if (e != OK)
        log_error("secret.decrypt_failed", "workspace=%s secret=%s", workspace->text, name);
    return e;
}

enum err secrets_get(struct db *db, void *ctx, const uint8_t key[SECRET_KEY_SIZE], const id *workspace,
                     const char *const *names, size_t n, struct secret_value *values_r)
{
    void *scratch = talloc_new(NULL);
    struct db_value head = db_id(workspace);
    struct db_value *each = talloc_array(scratch, struct db_value, n + 1);
    struct db_rows *rows;
    for (size_t i = 0; i < n; i++)
        each[i] = db_text(names[i]);
    enum err e = db_run_each(db, scratch, SQL_SECRET_FIND, &head, 1, each, 1, n, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        for (size_t i = 0; e == OK && i < n; i++) {
            char *value;
            if (values_r[i].text || strcmp(names[i], db_str(rows, r, SECRET_FIND_NAME)) != 0)
                continue;
            e = open_secret_row(ctx, key, workspace, rows, r, &value, &values_r[i].size);
            values_r[i].text = e == OK ? value : NULL;
        }
    }
    talloc_free(scratch);
    return e;
}

enum err secrets_list(struct db *db, void *ctx, const uint8_t *key, const id *workspace,
                      struct secret **list_r, size_t *count_r)
{
    struct db_value arg = db_id(workspace);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_SECRET_LIST, &arg, 1, &rows);
    if (e != OK)
        return e;
    struct secret *list = talloc_zero_array(ctx, struct secret, rows->count + 1);
    for (size_t i = 0; e == OK && i < rows->count; i++) {
        list[i].name = db_str(rows, i, SECRET_LIST_NAME);
        list[i].updated_ms = db_int(rows, i, SECRET_LIST_UPDATED_MS);
        char *value = NULL;
        if (key)
            e = open_secret_row(list, key, workspace, rows, i, &value, &list[i].size);
        list[i].value = value;
    }
    *list_r = list;
    *count_r = rows->count;
    return e;
}

enum err secret_delete(struct db *db, const id *workspace, const char *name)
{
    struct db_value args[] = {db_id(workspace), db_text(name)};
    return deed_run(
        db, &(struct deed_statement){SQL_SECRET_DELETE, args, 2, "secret.delete", workspace, name, NULL});
}
