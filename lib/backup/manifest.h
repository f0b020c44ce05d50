/* manifest.json: what a backup is. It is written last, so that a folder without it is no whole backup.
 * docs/backup.md describes the members. Functions return NULL, or a sentence of ctx that says what failed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_FILE "manifest.json"
#define MANIFEST_SUMS "SHA256SUMS"

enum { MANIFEST_FORMAT = 1, MANIFEST_KEY_TEXT = 16 };

struct manifest {
    const char *millrace, *server, *database;
    /* number of the last migration */
    int64_t schema;
    /* wall clock, in milliseconds: the database is copied as it was at a moment between the first two */
    int64_t began_ms, copied_ms, ended_ms;
    /* of the binary log at that moment; file NULL: the server has none */
    const char *binlog_file;
    int64_t binlog_position;
    /* in SHA256SUMS, and the sum of that file in hex */
    int64_t files, bytes;
    const char *sums_sha256;
    /* fingerprints of the key files; NULL: there is no key */
    const char *secrets_key, *webhooks_key;
    const char *datadir_owner, *datadir_group, *files_owner, *files_group;
    int64_t files_mode;
    /* blobs that were left out, because their bytes are not those of their names: "ab/abcd…" */
    const char **damaged;
    size_t damaged_n;
};

const char *manifest_write(void *ctx, const char *dir, const struct manifest *m);
/* Refuses a folder without a manifest, another format, and a manifest that lacks a member. */
const char *manifest_read(void *ctx, const char *dir, struct manifest **m_r);
