/* A stream of server-sent events as a gzip file (RFC 1952). It consists of blocks (RFC 1951) that begin and
 * end at an octet and refer to nothing before them. Therefore a block that was compressed once fits into any
 * stream, and a thousand streams of the same text cost one compression. A text for a single stream is stored
 * as it is: 10 octets more, 5 of them for an empty block at its end, where a decoder that keeps what it has
 * decoded gives it out, as the one of a compressed block does. Each call adds one chunk of HTTP, which a
 * client can read at once.
 *
 * Loop thread only, but gzip_block_make: any thread. */
#pragma once

#include <event2/buffer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of one stream. All zero: it is not compressed. */
struct gzip_stream {
    bool is_on;
    /* of the text so far: CRC-32, and the octets modulo 2^32 */
    uint32_t checksum, size;
};

/* A compressed text. */
struct gzip_block {
    char *bytes;
    size_t size, text_size;
    /* CRC-32 of the text, and zlib's operator that appends it to another one */
    uint32_t checksum;
    unsigned long append;
};

/* Begins the file. */
void gzip_stream_begin(struct gzip_stream *stream, struct evbuffer *out);
/* Adds a text as it is. Nothing, if size is 0. */
void gzip_stream_store(struct gzip_stream *stream, struct evbuffer *out, const char *text, size_t size);
/* Counts a block whose bytes the caller adds. */
void gzip_stream_count(struct gzip_stream *stream, const struct gzip_block *block);
/* Ends the file. */
void gzip_stream_end(const struct gzip_stream *stream, struct evbuffer *out);
/* Compresses a text that is not empty; bytes are of ctx. False: zlib has no memory. */
bool gzip_block_make(void *ctx, const char *text, size_t size, struct gzip_block *block_r);
