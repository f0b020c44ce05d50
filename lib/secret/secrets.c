#include "secret/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"

enum {
    KEY_FILE_TEXT_SIZE =
        sodium_base64_ENCODED_LEN(SECRET_KEY_SIZE, sodium_base64_VARIANT_ORIGINAL), /* with its NUL */
    LABEL_SIZE = ID_LENGTH + 1 + SECRET_NAME_MAX,
};

/* --- the key file --- */

static const char *read_secret_key(int fd, uint8_t key[SECRET_KEY_SIZE])
{
    struct stat st;
    char text[256];
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return "is no file";
    if (st.st_mode & S_IRWXO)
        return "may be used by all the world: chmod o= it";
    ssize_t n = read(fd, text, sizeof text);
    size_t size;
    bool ok = n > 0 && sodium_base642bin(key, SECRET_KEY_SIZE, text, (size_t)n, " \r\n", &size, NULL,
                                         sodium_base64_VARIANT_ORIGINAL) == 0;
    sodium_memzero(text, sizeof text);
    return ok && size == SECRET_KEY_SIZE ? NULL : "does not hold 32 bytes in base64";
}

enum err secrets_load_key(const char *path, uint8_t key[SECRET_KEY_SIZE], const char **why_r)
{
    *why_r = sodium_init() < 0 ? "libsodium does not work here"
             : *path           ? NULL
                               : "is not set (secrets.key_file)";
    if (*why_r)
        return ERR_INVALID;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *why_r = fd < 0 ? "cannot be opened" : read_secret_key(fd, key);
    if (fd >= 0)
        close(fd);
    return *why_r ? ERR_INVALID : OK;
}

enum err secrets_make_key(const char *path)
{
    uint8_t key[SECRET_KEY_SIZE];
    char text[KEY_FILE_TEXT_SIZE + 1];
    if (sodium_init() < 0)
        return ERR_INTERNAL;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? ERR_CONFLICT : ERR_INVALID;
    randombytes_buf(key, sizeof key);
    sodium_bin2base64(text, KEY_FILE_TEXT_SIZE, key, sizeof key, sodium_base64_VARIANT_ORIGINAL);
    size_t size = strlen(text);
    text[size++] = '\n';
    bool ok = write(fd, text, size) == (ssize_t)size && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    sodium_memzero(key, sizeof key);
    sodium_memzero(text, sizeof text);
    return ok ? OK : ERR_INTERNAL;
}

/* --- the seal --- */

bool secret_name_fits(const char *name)
{
    size_t size = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.");
    return size > 0 && size <= SECRET_NAME_MAX && !name[size];
}

bool secret_value_fits(const char *value, size_t size)
{
    if (size < SECRET_VALUE_MIN || size > SECRET_VALUE_MAX || memchr(value, 0, size))
        return false;
    return utf8_is_valid(value, size);
}

/* What a seal is bound to: the workspace's id (always 36 bytes), then the name. */
static size_t make_label(char label[LABEL_SIZE], const id *workspace, const char *name)
{
    size_t size = strlen(name);
    memset(label, 0, LABEL_SIZE);
    memcpy(label, workspace->text, ID_LENGTH);
    memcpy(label + ID_LENGTH, name, size < SECRET_NAME_MAX ? size : SECRET_NAME_MAX);
    return ID_LENGTH + size;
}

void secret_seal(const uint8_t key[SECRET_KEY_SIZE], const id *workspace, const char *name, const char *value,
                 size_t size, uint8_t nonce_r[SECRET_NONCE_SIZE], uint8_t *sealed_r)
{
    char label[LABEL_SIZE];
    size_t label_size = make_label(label, workspace, name);
    randombytes_buf(nonce_r, SECRET_NONCE_SIZE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed_r, NULL, (const unsigned char *)value, size,
                                               (const unsigned char *)label, label_size, NULL, nonce_r, key);
}

static int wipe_secret(char *value)
{
    sodium_memzero(value, talloc_get_size(value));
    return 0;
}

enum err secret_open(void *ctx, const uint8_t key[SECRET_KEY_SIZE], const id *workspace, const char *name,
                     const uint8_t *nonce, size_t nonce_size, const uint8_t *sealed, size_t sealed_size,
                     char **value_r, size_t *size_r)
{
    if (nonce_size != SECRET_NONCE_SIZE || sealed_size < SECRET_SEAL_SIZE || !secret_name_fits(name))
        return ERR_DENIED;
    char label[LABEL_SIZE];
    size_t label_size = make_label(label, workspace, name);
    size_t size = sealed_size - SECRET_SEAL_SIZE;
    char *value = talloc_zero_size(ctx, size + 1);
    talloc_set_destructor(value, wipe_secret);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt((unsigned char *)value, NULL, NULL, sealed, sealed_size,
                                                   (const unsigned char *)label, label_size, nonce,
                                                   key) != 0) {
        talloc_free(value);
        return ERR_DENIED;
    }
    *value_r = value;
    *size_r = size;
    return OK;
}

/* --- rows --- */

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
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_SECRET_PUT, args, SECRET_PUT_SET_COUNT + 1, &rows);
    if (e == OK && rows->affected == 0)
        e = ERR_NOT_FOUND;
    talloc_free(scratch);
    return e;
}

/* Opens the row {name, updated_ms, nonce, sealed}. */
static enum err open_secret_row(void *ctx, const uint8_t *key, const id *workspace,
                                const struct db_rows *rows, size_t i, char **value_r, size_t *size_r)
{
    const char *name = db_str(rows, i, SECRET_FIND_NAME);
    const struct db_cell *nonce = db_cell(rows, i, SECRET_FIND_NONCE),
                         *sealed = db_cell(rows, i, SECRET_FIND_SEALED);
    enum err e = secret_open(ctx, key, workspace, name, (const uint8_t *)nonce->text, nonce->size,
                             (const uint8_t *)sealed->text, sealed->size, value_r, size_r);
    if (e != OK)
        log_error("secret.does_not_open", "workspace=%s name=%s", workspace->text, name);
    return e;
}

enum err secret_get(struct db *db, void *ctx, const uint8_t key[SECRET_KEY_SIZE], const id *workspace,
                    const char *name, char **value_r, size_t *size_r)
{
    void *scratch = talloc_new(NULL);
    struct db_value args[] = {db_id(workspace), db_text(name)};
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_SECRET_FIND, args, 2, &rows);
    if (e == OK)
        e = rows->count == 0 ? ERR_NOT_FOUND : open_secret_row(ctx, key, workspace, rows, 0, value_r, size_r);
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
    void *scratch = talloc_new(NULL);
    struct db_value args[] = {db_id(workspace), db_text(name)};
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_SECRET_DELETE, args, 2, &rows);
    if (e == OK && rows->affected == 0)
        e = ERR_NOT_FOUND;
    talloc_free(scratch);
    return e;
}
