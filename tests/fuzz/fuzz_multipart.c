/* Fuzzes the parser of uploads. The first byte of the input decides how the rest is split into pieces; the
 * parser must report the same events for the pieces as for the whole. A file name that is accepted is
 * UTF-8 in normalization form C, of a length that fits its column. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/utf8.h"
#include "fcgi/http/multipart.h"
#include "store/file.h"

struct story {
    uint64_t hash;
    size_t bytes;
};

static bool mix(struct story *s, const char *text)
{
    for (; text && *text; text++)
        s->hash = (s->hash ^ (unsigned char)*text) * 1099511628211U;
    return true;
}

static bool on_part(void *arg, const struct multipart_part *p)
{
    const char *name = p->filename ? file_basename(NULL, p->filename) : NULL;
    if (name && (!utf8_is_valid(name, strlen(name)) || strlen(name) > FILE_NAME_BYTES_MAX ||
                 strcmp(name, file_name_normal((void *)name, name)) != 0))
        abort();
    talloc_free((void *)name);
    return mix(arg, p->name) && mix(arg, p->filename) && mix(arg, p->type);
}

static bool on_data(void *arg, const char *bytes, size_t size)
{
    struct story *s = arg;
    for (size_t i = 0; i < size; i++)
        s->hash = (s->hash ^ (unsigned char)bytes[i]) * 1099511628211U;
    s->bytes += size;
    return true;
}

static bool on_end(void *arg)
{
    return mix(arg, "end");
}

static enum err tell(const char *text, size_t size, size_t piece, struct story *s)
{
    const struct multipart_events events = {on_part, on_data, on_end, s};
    void *ctx = talloc_new(NULL);
    struct multipart *m = multipart_new(ctx, "b", &events);
    enum err e = OK;
    for (size_t at = 0; e == OK && at < size; at += piece)
        e = multipart_feed(m, text + at, size - at < piece ? size - at : piece);
    if (e == OK)
        e = multipart_finish(m);
    talloc_free(ctx);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const char *text = (const char *)data + 1;
    struct story whole = {0}, pieces = {0};
    enum err a = tell(text, size - 1, size, &whole);
    enum err b = tell(text, size - 1, (size_t)data[0] % 32 + 1, &pieces);
    if (a != b || (a == OK && (whole.hash != pieces.hash || whole.bytes != pieces.bytes)))
        abort();
    char *type = talloc_strndup(NULL, text, size - 1);
    const char *boundary = multipart_boundary(type, type);
    if (boundary && strlen(boundary) > MULTIPART_BOUNDARY_MAX)
        abort();
    talloc_free(type);
    return 0;
}
