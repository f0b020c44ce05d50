/* The HTTP request of an http step, rendered against the scope of a run. */
#pragma once

#include "workflow/program.h"

enum {
    /* bytes of the URL, including the query */
    HTTP_REQUEST_URL_MAX = 16 * 1024,
    /* bytes of the value of one header */
    HTTP_REQUEST_HEADER_MAX = 16 * 1024
};

struct http_header {
    const char *name;
    /* contains no CR, LF or NUL */
    const char *value;
};

struct http_request {
    const char *method;
    /* with the query, without a fragment */
    const char *url;
    struct http_header *headers;
    size_t header_count;
    /* NULL: no body */
    const char *body;
    size_t body_size;
};

/* Renders the request of `step` into *request_r; its texts are owned by ctx, except for those that belong to
 * the step. A body that is a string is sent as it is (as text/plain, unless a Content-Type header is set),
 * null means no body, and any other value is sent as JSON. A query parameter that is null is omitted; an
 * array repeats its parameter. Errors as in template.h, with a sentence in *why_r. */
enum err http_request_render(void *ctx, const struct program_step *step, const struct template_scope *scope,
                             struct http_request *request_r, const char **why_r) WARN_UNUSED;
