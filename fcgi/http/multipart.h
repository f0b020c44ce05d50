/* multipart/form-data (RFC 7578, RFC 2046) as it comes in: bytes are fed in any pieces, and parts are told as
 * they go by. Memory is bounded: what waits is at most a delimiter, or one part's headers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { MULTIPART_BOUNDARY_MAX = 70, MULTIPART_HEADERS_MAX = 8192 };

struct multipart_part {
    const char *name;     /* of the field */
    const char *filename; /* NULL: none was given */
    const char *type;     /* NULL: none was given */
};

/* Each may end it by returning false. What is told lives until it returns. */
struct multipart_events {
    bool (*part)(void *arg, const struct multipart_part *part);
    bool (*data)(void *arg, const char *bytes, size_t size);
    bool (*end)(void *arg); /* of the part */
    void *arg;
};

struct multipart;

/* The boundary of a Content-Type, of ctx; NULL where it is not multipart/form-data with a good one. */
const char *multipart_boundary(void *ctx, const char *content_type);
struct multipart *multipart_new(void *ctx, const char *boundary, const struct multipart_events *events);

/* ERR_INVALID: it is malformed (multipart_why tells); ERR_CONFLICT: an event ended it. Either is final. */
enum err multipart_feed(struct multipart *m, const char *bytes, size_t size) WARN_UNUSED;
/* Nothing more comes: ERR_INVALID where the last delimiter is missing. */
enum err multipart_finish(struct multipart *m) WARN_UNUSED;
const char *multipart_why(const struct multipart *m);
