/* The file of `millrace workspace export`: records, one after the other, and at the end the HMAC-SHA256 of
 * all that was before it, by a key made of the transfer's: who does not have that cannot make or change a
 * file. Written and read as a stream; the longest record is one row. Format 1:
 *
 *   "MILLRACE-WORKSPACE-1\n"
 *   a record: its kind (1 byte), the size of its content (8 bytes, big-endian), its content
 *   'H' JSON, first          {"workspace", "name", "schema", "cell", "exported_at"}
 *   'T' a table              its name, a line feed, and its columns as an INSERT takes them
 *   'R' a row of that table  each cell: its size (4 bytes, big-endian; ffffffff: NULL) and its bytes
 *   'B' a blob, 'P' a skill's package   its SHA-256 (32 bytes)
 *   'D' a part of its bytes
 *   'E' last: the number of records before it as text
 *   the HMAC-SHA256 (32 bytes) */
#pragma once

#include <sodium.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/span.h"
#include "secret/seal.h"

enum archive_kind {
    ARCHIVE_HEAD = 'H',
    ARCHIVE_TABLE = 'T',
    ARCHIVE_ROW = 'R',
    ARCHIVE_BLOB = 'B',
    ARCHIVE_PACKAGE = 'P',
    ARCHIVE_BYTES = 'D',
    ARCHIVE_END = 'E',
};
enum {
    ARCHIVE_CELLS_MAX = 64,
    /* Of a record: max_allowed_packet as docs/operations.md asks for it. Twice as much, a row in hexadecimal
     * digits, is less than the 256 MiB of talloc's longest piece. */
    ARCHIVE_RECORD_MAX = 64 * 1024 * 1024,
};

struct archive {
    FILE *file;
    crypto_auth_hmacsha256_state mac;
    int64_t records;
    /* Of a read record; the content is valid until the next one is read. */
    enum archive_kind kind;
    uint8_t *content;
    size_t size, room;
};

/* --- writing --- */

/* Creates the file, with mode 0600. `key`: of the transfer. ERR_CONFLICT: it exists. ERR_INTERNAL: errno. */
enum err archive_create(void *ctx, const char *path, const uint8_t key[SECRET_KEY_SIZE],
                        struct archive **a_r) WARN_UNUSED;
/* ERR_LIMIT: it cannot be written (errno), or is too long, here and below. */
enum err archive_put(struct archive *a, enum archive_kind kind, const void *bytes, size_t size) WARN_UNUSED;
enum err archive_put_row(struct archive *a, const struct span *cells, size_t n) WARN_UNUSED;
/* Writes the end and brings all to the disk. */
enum err archive_finish(struct archive *a) WARN_UNUSED;

/* --- reading --- */

/* ERR_NOT_FOUND: errno. ERR_INVALID: it is no such file, or one of another format. */
enum err archive_open(void *ctx, const char *path, const uint8_t key[SECRET_KEY_SIZE],
                      struct archive **a_r) WARN_UNUSED;
/* The next record. ERR_INVALID: the file is damaged, or of another key; after ARCHIVE_END the MAC was
 * verified. */
enum err archive_next(struct archive *a) WARN_UNUSED;
/* The cells of a row: they lie in the content. False: it is no row of `n` cells. */
bool archive_row(const struct archive *a, struct span *cells_r, size_t n);
