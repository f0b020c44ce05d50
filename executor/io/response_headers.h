/* The header lines of one HTTP response, while they arrive. All names and values stand in one buffer, so that
 * memory is bounded by HTTP_HEADERS_MAX however the lines repeat a name. Loop thread only. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    /* bytes of the header lines of one response, with its interim responses and trailers */
    HTTP_HEADERS_MAX = 32 * 1024,
    /* the number of these lines, without status lines */
    HTTP_HEADER_LINES_MAX = 128,
};

/* Zeroed: nothing has arrived. */
struct response_headers {
    /* "name\0value\0" for each line; size: the bytes in use */
    char *text;
    size_t size;
    /* a status line has arrived */
    bool begun;
    /* received so far, dropped interim responses included */
    size_t bytes, lines;
};

/* Adds one line; `ctx` owns the buffer. The status line of a further response (interim responses: 100, 103)
 * drops the lines before it. Returns NULL, or a sentence if a limit is exceeded. */
const char *response_headers_add(void *ctx, struct response_headers *h, const char *line, size_t size);
/* {name: value}, of ctx. Names are in lower case; the values of a repeated name are joined by ", ", but
 * "set-cookie" is always an array with one string for each line. Bytes above 0x7f become '?', because headers
 * have no defined encoding. `decoded`: the body is kept without its transfer and content codings; then the
 * fields Transfer-Encoding, Content-Encoding and the Content-Length of an encoded body are left out. NULL: no
 * status line has arrived. */
json_object *response_headers_json(void *ctx, const struct response_headers *h, bool decoded);
/* Frees the buffer; `h` is as new. */
void response_headers_clear(struct response_headers *h);
