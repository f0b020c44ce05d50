/* Texts that streams share, as they are and within gzip streams. zlib's own reader checks the files. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <zlib.h>

#include "stream/shared_text.h"

/* Removes the chunks of HTTP. The rest, on ctx, has no end mark. */
static char *unchunked(void *ctx, struct evbuffer *out, size_t *size_r)
{
    size_t total = evbuffer_get_length(out);
    const char *p = (const char *)evbuffer_pullup(out, -1), *end = p + total;
    char *bytes = talloc_size(ctx, total + 1);
    *size_r = 0;
    while (p < end) {
        char *after;
        size_t n = strtoul(p, &after, 16);
        cr_assert(n > 0 && strncmp(after, "\r\n", 2) == 0 && after + 2 + n + 2 <= end);
        memcpy(bytes + *size_r, after + 2, n);
        *size_r += n;
        cr_assert_eq(strncmp(after + 2 + n, "\r\n", 2), 0);
        p = after + 2 + n + 2;
    }
    return bytes;
}

/* The text of a gzip file; the result of zlib at its end. */
static char *unpacked(void *ctx, const char *bytes, size_t size, size_t max, int *result_r)
{
    z_stream z = {0};
    char *text = talloc_zero_size(ctx, max + 1);
    cr_assert_eq(inflateInit2(&z, 15 + 16), Z_OK);
    z.next_in = (Bytef *)bytes;
    z.avail_in = (uInt)size;
    z.next_out = (Bytef *)text;
    z.avail_out = (uInt)max;
    *result_r = inflate(&z, Z_SYNC_FLUSH);
    text[max - z.avail_out] = '\0';
    inflateEnd(&z);
    return text;
}

static char *long_text(void *ctx, size_t size)
{
    char *text = talloc_zero_size(ctx, size + 1);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + i * i % 23);
    return text;
}

Test(shared_text, is_one_chunk_for_streams_without_compression)
{
    void *ctx = talloc_new(NULL);
    struct gzip_stream off = {0};
    struct evbuffer *out = evbuffer_new();
    shared_text_send(shared_text_new(ctx, "", 0, true), out, &off);
    cr_assert_eq(evbuffer_get_length(out), 0);
    shared_text_send(shared_text_new(ctx, "0123456789abcdef", 16, true), out, &off);
    cr_assert_eq(evbuffer_get_length(out), 22);
    cr_assert_eq(memcmp(evbuffer_pullup(out, -1), "10\r\n0123456789abcdef\r\n", 22), 0);
    evbuffer_free(out);
    talloc_free(ctx);
}

Test(shared_text, may_be_freed_before_it_is_sent)
{
    struct gzip_stream off = {0}, on = {0};
    struct evbuffer *plain = evbuffer_new(), *packed = evbuffer_new();
    gzip_stream_begin(&on, packed);
    struct shared_text *text = shared_text_new(NULL, "news", 4, true);
    shared_text_send(text, plain, &off);
    shared_text_send(text, packed, &on);
    shared_text_send(text, packed, &on);
    talloc_free(text);
    cr_assert_eq(memcmp(evbuffer_pullup(plain, -1), "4\r\nnews\r\n", 9), 0);
    evbuffer_free(plain);
    evbuffer_free(packed);
}

/* Each piece can be read as soon as it was sent, and the whole is a valid file. */
Test(gzip_stream, mixes_shared_and_stored_pieces)
{
    enum { LONG = 200000, MAX = 2 * LONG + 100 };
    void *ctx = talloc_new(NULL);
    struct evbuffer *out = evbuffer_new();
    struct gzip_stream stream;
    size_t size;
    int result;
    char *big = long_text(ctx, LONG), *want = talloc_strdup(ctx, "retry: 1\n\n");
    gzip_stream_begin(&stream, out);
    gzip_stream_store(&stream, out, want, strlen(want));
    gzip_stream_store(&stream, out, "", 0);
    struct shared_text *texts[] = {shared_text_new(ctx, "one", 3, true),
                                   shared_text_new(ctx, big, LONG, true),
                                   shared_text_new(ctx, big, LONG, false), shared_text_new(ctx, "", 0, true)};
    const char *parts[] = {"one", big, big, ""};
    for (size_t i = 0; i < 4; i++) {
        shared_text_send(texts[i], out, &stream);
        want = talloc_strdup_append(want, parts[i]);
        char *bytes = unchunked(ctx, out, &size);
        cr_assert_str_eq(unpacked(ctx, bytes, size, MAX, &result), want);
        cr_assert_eq(result, Z_OK);
        cr_assert_eq(memcmp(bytes + size - 4, "\0\0\xff\xff", 4), 0, "decoders give out what they have");
    }
    gzip_stream_end(&stream, out);
    char *bytes = unchunked(ctx, out, &size);
    cr_assert_str_eq(unpacked(ctx, bytes, size, MAX, &result), want);
    cr_assert_eq(result, Z_STREAM_END, "the checksum and the size are right");
    cr_assert_lt(size, LONG + LONG / 2, "the shared text was compressed");
    evbuffer_free(out);
    talloc_free(ctx);
}
