/* The reason in an error that a model's API sends: a body of an error status, or an object within a stream.
 * The servers agree on no form: {"error": {"message": …}}, {"error": "…"}, {"detail": …}, {"message": …}, a
 * list of these, or the HTML page of a proxy. Pure. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    /* bytes of a reason, cut after a character */
    API_ERROR_MAX = 1024
};

/* The message in `o`, of ctx and valid UTF-8; NULL: `o` has none in any known form. */
char *api_error_message(void *ctx, json_object *o);
/* The same for a body: its message, otherwise the beginning of the body as it is; "" for an empty body. */
char *api_error_text(void *ctx, const char *body, size_t size);
/* True if `o` says by a status of 4xx, other than 408 and 429, that the same request would fail again. */
bool api_error_is_final(json_object *o);
