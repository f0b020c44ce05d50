/* A streaming parser of multipart/form-data (RFC 7578, RFC 2046). The caller feeds bytes in pieces of any
 * size; the parser calls back for each part, its data and its end. Memory is bounded: at most one delimiter
 * or the headers of one part are held back. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Octets; the boundary's limit is that of RFC 2046. */
enum { MULTIPART_BOUNDARY_MAX = 70, MULTIPART_HEADERS_MAX = 8192 };

struct multipart_part {
    /* Name of the form field: octets as sent, with %22, %0D and %0A decoded. */
    const char *name;
    /* From filename* (RFC 8187) or filename, decoded likewise; NULL: not given. Not checked otherwise. */
    const char *filename;
    /* Content-Type of the part, octets as sent; NULL: not given. */
    const char *type;
};

/* Callbacks. A callback aborts parsing by returning false. Its arguments are valid until it returns. */
struct multipart_events {
    /* A part begins. */
    bool (*part)(void *arg, const struct multipart_part *part);
    /* The next bytes of the part. */
    bool (*data)(void *arg, const char *bytes, size_t size);
    /* The part is complete. */
    bool (*end)(void *arg);
    void *arg;
};

struct multipart;

/* The boundary named by a Content-Type, allocated from ctx. NULL if the type is not multipart/form-data or
 * has no valid boundary. */
const char *multipart_boundary(void *ctx, const char *content_type);
struct multipart *multipart_new(void *ctx, const char *boundary, const struct multipart_events *events);

/* ERR_INVALID: the body is malformed (see multipart_why). ERR_CONFLICT: a callback aborted. Both are
 * final. */
enum err multipart_feed(struct multipart *m, const char *bytes, size_t size) WARN_UNUSED;
/* Call it at the end of the body. ERR_INVALID also if the closing delimiter is missing. */
enum err multipart_finish(struct multipart *m) WARN_UNUSED;
/* What is malformed, as a clause that follows a colon. */
const char *multipart_why(const struct multipart *m);
