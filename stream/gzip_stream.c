#include "stream/gzip_stream.h"

#include <talloc.h>
#include <zlib.h>

#include "stream/sse.h"

enum {
    /* of a stored block: its length has 16 bits */
    STORED_MAX = 65535,
    STORED_HEAD = 5,
    /* The fastest one: a page of 128 KiB takes about a millisecond, and shrinks to a tenth. */
    LEVEL = 1,
    /* of a raw deflate stream, without a header of its own: zlib's -MAX_WBITS */
    RAW_WINDOW = -15,
    MEMORY = 8,
};

static void put_16(unsigned char *at, size_t value)
{
    at[0] = (unsigned char)(value & 0xff);
    at[1] = (unsigned char)(value >> 8 & 0xff);
}

static void put_32(unsigned char *at, uint32_t value)
{
    put_16(at, value & 0xffff);
    put_16(at + 2, value >> 16);
}

static void add_chunk_head(struct evbuffer *out, size_t size)
{
    char head[CHUNK_HEAD_SIZE];
    evbuffer_add(out, head, chunk_head(head, size));
}

static void add_chunk_end(struct evbuffer *out)
{
    evbuffer_add(out, CHUNK_END, sizeof CHUNK_END - 1);
}

/* The head of a stored block: its type, its length, and the complement of that. */
static void stored_head(unsigned char head[STORED_HEAD], size_t size, bool is_last)
{
    head[0] = is_last;
    put_16(head + 1, size);
    put_16(head + 3, ~size);
}

void gzip_stream_begin(struct gzip_stream *stream, struct evbuffer *out)
{
    /* magic number, deflate, no flags, no time, no hint, unknown system */
    static const unsigned char head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    *stream = (struct gzip_stream){.is_on = true};
    add_chunk_head(out, sizeof head);
    evbuffer_add(out, head, sizeof head);
    add_chunk_end(out);
}

void gzip_stream_store(struct gzip_stream *stream, struct evbuffer *out, const char *text, size_t size)
{
    if (size == 0)
        return;
    unsigned char head[STORED_HEAD];
    add_chunk_head(out, size + ((size + STORED_MAX - 1) / STORED_MAX + 1) * STORED_HEAD);
    for (size_t at = 0; at < size; at += STORED_MAX) {
        size_t n = size - at < STORED_MAX ? size - at : STORED_MAX;
        stored_head(head, n, false);
        evbuffer_add(out, head, sizeof head);
        evbuffer_add(out, text + at, n);
    }
    stored_head(head, 0, false);
    evbuffer_add(out, head, sizeof head);
    add_chunk_end(out);
    stream->checksum = (uint32_t)crc32_z(stream->checksum, (const Bytef *)text, size);
    stream->size += (uint32_t)size;
}

void gzip_stream_count(struct gzip_stream *stream, const struct gzip_block *block)
{
    stream->checksum = (uint32_t)crc32_combine_op(stream->checksum, block->checksum, block->append);
    stream->size += (uint32_t)block->text_size;
}

void gzip_stream_end(const struct gzip_stream *stream, struct evbuffer *out)
{
    unsigned char end[STORED_HEAD + 8];
    stored_head(end, 0, true);
    put_32(end + STORED_HEAD, stream->checksum);
    put_32(end + STORED_HEAD + 4, stream->size);
    add_chunk_head(out, sizeof end);
    evbuffer_add(out, end, sizeof end);
    add_chunk_end(out);
}

bool gzip_block_make(void *ctx, const char *text, size_t size, struct gzip_block *block_r)
{
    z_stream z = {0};
    if (deflateInit2(&z, LEVEL, Z_DEFLATED, RAW_WINDOW, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    /* the block that aligns the end to an octet is not in zlib's bound */
    size_t max = deflateBound(&z, size) + STORED_HEAD + 1;
    *block_r = (struct gzip_block){.bytes = talloc_size(ctx, max), .text_size = size};
    z.next_in = (Bytef *)text; /* zlib does not write there */
    z.avail_in = (uInt)size;
    z.next_out = (Bytef *)block_r->bytes;
    z.avail_out = (uInt)max;
    bool ok = deflate(&z, Z_SYNC_FLUSH) == Z_OK && z.avail_in == 0 && z.avail_out > 0;
    block_r->size = max - z.avail_out;
    deflateEnd(&z);
    block_r->checksum = (uint32_t)crc32_z(0, (const Bytef *)text, size);
    block_r->append = crc32_combine_gen((z_off_t)size);
    return ok;
}
