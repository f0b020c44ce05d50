#include "cli/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

static const char magic[] = "MILLRACE-WORKSPACE-1\n";
enum { HEAD_SIZE = 1 + 8, MAC_SIZE = crypto_auth_hmacsha256_BYTES, CELL_HEAD = 4 };
static const uint32_t null_size = UINT32_MAX;

static int archive_free(struct archive *a)
{
    if (a->file)
        fclose(a->file);
    return 0;
}

/* Its own key: that of the transfer seals the secrets. */
static void begin_mac(struct archive *a, const uint8_t transfer[SECRET_KEY_SIZE])
{
    uint8_t key[crypto_auth_hmacsha256_KEYBYTES];
    crypto_kdf_derive_from_key(key, sizeof key, 1, "archive ", transfer);
    crypto_auth_hmacsha256_init(&a->mac, key, sizeof key);
    sodium_memzero(key, sizeof key);
}

static struct archive *archive_new(void *ctx, FILE *file, const uint8_t transfer[SECRET_KEY_SIZE])
{
    struct archive *a = talloc_zero(ctx, struct archive);
    talloc_set_destructor(a, archive_free);
    a->file = file;
    begin_mac(a, transfer);
    return a;
}

static void put_number(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, value >>= 8)
        to[i] = (uint8_t)value;
}

static uint64_t get_number(const uint8_t *from, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | from[i];
    return value;
}

/* --- writing --- */

static enum err put(struct archive *a, const void *bytes, size_t size)
{
    if (size == 0)
        return OK;
    crypto_auth_hmacsha256_update(&a->mac, bytes, size);
    return fwrite(bytes, 1, size, a->file) == size ? OK : ERR_LIMIT;
}

enum err archive_create(void *ctx, const char *path, const uint8_t key[SECRET_KEY_SIZE], struct archive **a_r)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!file) {
        if (fd >= 0)
            close(fd);
        return errno == EEXIST ? ERR_CONFLICT : ERR_INTERNAL;
    }
    *a_r = archive_new(ctx, file, key);
    return put(*a_r, magic, sizeof magic - 1);
}

static enum err put_head(struct archive *a, enum archive_kind kind, size_t size)
{
    uint8_t head[HEAD_SIZE] = {(uint8_t)kind};
    if (size > ARCHIVE_RECORD_MAX)
        return ERR_LIMIT;
    put_number(head + 1, size, 8);
    a->records++;
    return put(a, head, sizeof head);
}

enum err archive_put(struct archive *a, enum archive_kind kind, const void *bytes, size_t size)
{
    enum err e = put_head(a, kind, size);
    return e == OK ? put(a, bytes, size) : e;
}

enum err archive_put_row(struct archive *a, const struct span *cells, size_t n)
{
    size_t size = n * CELL_HEAD;
    for (size_t i = 0; i < n; i++)
        size += cells[i].at ? cells[i].size : 0;
    enum err e = put_head(a, ARCHIVE_ROW, size);
    for (size_t i = 0; e == OK && i < n; i++) {
        uint8_t head[CELL_HEAD];
        put_number(head, cells[i].at ? cells[i].size : null_size, CELL_HEAD);
        e = put(a, head, sizeof head);
        if (e == OK && cells[i].at)
            e = put(a, cells[i].at, cells[i].size);
    }
    return e;
}

enum err archive_finish(struct archive *a)
{
    char count[24];
    uint8_t mac[MAC_SIZE];
    int n = snprintf(count, sizeof count, "%lld", (long long)a->records);
    enum err e = archive_put(a, ARCHIVE_END, count, (size_t)n);
    crypto_auth_hmacsha256_final(&a->mac, mac);
    if (e == OK && (fwrite(mac, 1, sizeof mac, a->file) != sizeof mac || fflush(a->file) != 0 ||
                    fsync(fileno(a->file)) != 0))
        e = ERR_LIMIT;
    return e;
}

/* --- reading --- */

enum err archive_open(void *ctx, const char *path, const uint8_t key[SECRET_KEY_SIZE], struct archive **a_r)
{
    char begin[sizeof magic - 1];
    FILE *file = fopen(path, "re");
    if (!file)
        return ERR_NOT_FOUND;
    *a_r = archive_new(ctx, file, key);
    if (fread(begin, 1, sizeof begin, file) != sizeof begin || memcmp(begin, magic, sizeof begin) != 0)
        return ERR_INVALID;
    crypto_auth_hmacsha256_update(&(*a_r)->mac, (const uint8_t *)begin, sizeof begin);
    return OK;
}

/* After ARCHIVE_END: the number of records, the MAC, and nothing behind it. */
static enum err check_end(struct archive *a)
{
    char count[24];
    uint8_t mac[MAC_SIZE], own[MAC_SIZE];
    int n = snprintf(count, sizeof count, "%lld", (long long)a->records - 1);
    crypto_auth_hmacsha256_final(&a->mac, own);
    bool ok = a->size == (size_t)n && memcmp(a->content, count, a->size) == 0 &&
              fread(mac, 1, sizeof mac, a->file) == sizeof mac && sodium_memcmp(mac, own, sizeof mac) == 0 &&
              fgetc(a->file) == EOF;
    return ok ? OK : ERR_INVALID;
}

enum err archive_next(struct archive *a)
{
    uint8_t head[HEAD_SIZE];
    if (fread(head, 1, sizeof head, a->file) != sizeof head)
        return ERR_INVALID;
    uint64_t size = get_number(head + 1, 8);
    if (size > ARCHIVE_RECORD_MAX)
        return ERR_INVALID;
    if (size + 1 > a->room) {
        a->room = size + 1;
        a->content = talloc_realloc(a, a->content, uint8_t, a->room);
    }
    a->kind = (enum archive_kind)head[0];
    a->size = size;
    if (fread(a->content, 1, size, a->file) != size)
        return ERR_INVALID;
    a->content[size] = '\0';
    crypto_auth_hmacsha256_update(&a->mac, head, sizeof head);
    crypto_auth_hmacsha256_update(&a->mac, a->content, size);
    a->records++;
    return a->kind == ARCHIVE_END ? check_end(a) : OK;
}

bool archive_row(const struct archive *a, struct span *cells_r, size_t n)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (a->size - at < CELL_HEAD)
            return false;
        uint32_t size = (uint32_t)get_number(a->content + at, CELL_HEAD);
        at += CELL_HEAD;
        cells_r[i] = (struct span){NULL, 0};
        if (size == null_size)
            continue;
        if (a->size - at < size)
            return false;
        cells_r[i] = (struct span){(const char *)a->content + at, size};
        at += size;
    }
    return at == a->size;
}
