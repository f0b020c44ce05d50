/* The HTTP request that an http step makes, rendered in a run's scope. Everything belongs to the context
 * given. */
#pragma once

#include "workflow/program_compile.h"

enum {
    HTTP_REQUEST_URL_MAX = 16 * 1024,   /* bytes, with the query */
    HTTP_REQUEST_HEADER_MAX = 16 * 1024 /* bytes of one header's value */
};

struct http_header {
    const char *name;
    const char *value; /* no CR, LF or NUL */
};

struct http_request {
    const char *method;
    const char *url; /* with the query, without a fragment */
    struct http_header *headers;
    size_t header_count;
    const char *body; /* NULL: none */
    size_t body_size;
};

/* A string as body is sent as it is (text/plain unless a Content-Type header is set), null is no body,
 * anything else is sent as JSON. Of the query, null is left out and an array repeats its parameter. Errors as
 * templates have them. */
enum err http_request_render(void *ctx, const struct program_step *step, const struct template_scope *scope,
                             struct http_request *request_r, const char **why_r) WARN_UNUSED;
