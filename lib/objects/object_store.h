/* Requests to an object store with the interface of S3 (Amazon S3 API Reference: PutObject, GetObject,
 * DeleteObject, ListObjectsV2), over HTTP. TLS is left to HAProxy: it listens on the Unix socket that the
 * settings name, as it does for MariaDB and Redis, so that the programs need no network.
 *
 * A store may be used by several threads; each request occupies its thread until the store has answered.
 * Requests are not repeated. Time is limited: 2 s to connect, the setting timeout_s without a byte, 15
 * minutes for all. If the store cannot be reached, further requests fail at once for a second. Secrets and
 * signatures are never logged. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct object_settings {
    /* "http://HOST" or "http://HOST:PORT" */
    const char *endpoint;
    /* a Unix socket that leads to the store; "": TCP to the endpoint */
    const char *socket;
    const char *bucket, *region, *access_key, *secret;
    /* the bucket is the first part of the path; otherwise of the host's name */
    bool path_style;
    int64_t timeout_s;
};

enum object_action { OBJECT_PUT, OBJECT_GET, OBJECT_HEAD, OBJECT_DELETE, OBJECT_LIST, OBJECT_ACTIONS };
enum object_outcome { OBJECT_DONE, OBJECT_MISSING, OBJECT_REFUSED, OBJECT_AWAY, OBJECT_OUTCOMES };
/* Counts of requests; may lie in memory that processes share. */
struct object_counts {
    atomic_uint_fast64_t requests[OBJECT_ACTIONS][OBJECT_OUTCOMES];
    atomic_uint_fast64_t bytes[OBJECT_ACTIONS];
    atomic_uint_fast64_t us[OBJECT_ACTIONS];
};
/* "put" and "done", for labels. */
const char *object_action_name(enum object_action action);
const char *object_outcome_name(enum object_outcome outcome);

struct object_store;
/* Copies the settings. `counts` may be NULL. After fork only: it opens libcurl handles. */
struct object_store *object_store_new(void *ctx, const struct object_settings *settings,
                                      struct object_counts *counts);

/* The errors of all requests, logged: ERR_UNAVAILABLE: the store cannot be reached, is too slow, or refuses
 * the request; ERR_INTERNAL: a local file cannot be read. ERR_NOT_FOUND (not logged): there is no such
 * object. Keys consist of unreserved characters and slashes. */

/* Stores `size` bytes of the file `fd` from its beginning. `sha256` is their hash in hex, which the store
 * verifies. */
enum err object_put(struct object_store *s, const char *key, int fd, int64_t size,
                    const char *sha256) WARN_UNUSED;
/* Passes the bytes to on_bytes, which returns false to end the request (ERR_INTERNAL). */
enum err object_get(struct object_store *s, const char *key,
                    bool (*on_bytes)(void *arg, const char *bytes, size_t n), void *arg) WARN_UNUSED;
/* OK: the object is there. */
enum err object_look(struct object_store *s, const char *key) WARN_UNUSED;
/* OK also if there is no such object. */
enum err object_delete(struct object_store *s, const char *key) WARN_UNUSED;

struct object_entry {
    const char *key;
    int64_t size, modified_ms;
};
enum { OBJECT_LIST_MAX = 1000 };
/* Up to `max` objects whose keys sort behind `after` (not NULL), in the order of the keys, of ctx. */
enum err object_list(struct object_store *s, void *ctx, const char *after, size_t max,
                     struct object_entry **list_r, size_t *n_r, bool *more_r) WARN_UNUSED;

/* A GET that somebody else sends (nginx), within 15 minutes. Strings of ctx. The header X-Amz-Content-Sha256
 * is OBJECT_UNSIGNED. */
#define OBJECT_UNSIGNED "UNSIGNED-PAYLOAD"
struct object_signed {
    const char *path, *host, *date, *authorization;
};
void object_sign_get(const struct object_store *s, void *ctx, const char *key,
                     struct object_signed *signed_r);
