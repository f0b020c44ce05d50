#include "secret/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "base/utf8.h"

enum {
    /* the key in base64, with a NUL */
    KEY_FILE_TEXT_SIZE = sodium_base64_ENCODED_LEN(SECRET_KEY_SIZE, sodium_base64_VARIANT_ORIGINAL),
    /* of what is read of a key file */
    KEY_FILE_READ_SIZE = 256,
    LABEL_SIZE = ID_LENGTH + 1 + SECRET_NAME_MAX,
};

/* --- the key file --- */

/* What is wrong with the file, or NULL. */
static const char *read_secret_key(int fd, uint8_t key[SECRET_KEY_SIZE])
{
    struct stat st;
    char text[KEY_FILE_READ_SIZE];
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return "is not a regular file";
    if (st.st_mode & S_IRWXO)
        return "is accessible to other users: run chmod o= on it";
    ssize_t n = read(fd, text, sizeof text);
    size_t size;
    bool ok = n > 0 && sodium_base642bin(key, SECRET_KEY_SIZE, text, (size_t)n, " \r\n", &size, NULL,
                                         sodium_base64_VARIANT_ORIGINAL) == 0;
    sodium_memzero(text, sizeof text);
    return ok && size == SECRET_KEY_SIZE ? NULL : "does not hold 32 bytes in base64";
}

enum err secrets_load_key(const char *path, uint8_t key[SECRET_KEY_SIZE], const char **why_r)
{
    *why_r = sodium_init() < 0 ? "cannot be used: libsodium failed to initialize"
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

/* The text of a JSON number. */
static bool looks_like_number(const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!memchr("0123456789.-+eE", value[i], 15))
            return false;
    }
    return true;
}

const char *secret_value_warning(const char *value, size_t size)
{
    if (looks_like_number(value, size))
        return "the value looks like a number: a response that contains it as a JSON number shows it, and "
               "all "
               "other text that happens to contain these digits is redacted";
    if (size < SECRET_VALUE_SHORT)
        return "the value is shorter than 8 bytes: all text that happens to contain it is redacted, and its "
               "base64 forms inside longer text are not";
    return NULL;
}

/* The authenticated data of a seal: the workspace's id (always 36 bytes), followed by the name. */
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
