#include "executor/run/model/api_error.h"

#include <string.h>
#include <talloc.h>

#include "base/utf8.h"
#include "json/json.h"

/* A list in an error, and errors in errors, are followed this deep. */
enum { NESTED_MAX = 4 };

static char *cut_text(void *ctx, const char *text, size_t size)
{
    char *clean = talloc_size(ctx, 3 * size + 1);
    size_t n = utf8_sanitize(clean, text, size, false);
    n = utf8_cut(clean, n, API_ERROR_MAX);
    clean[n] = '\0';
    return clean;
}

static char *message_within(void *ctx, json_object *value, int levels)
{
    static const char *const names[] = {"error", "message", "detail", "msg", "errors", "title", "reason"};
    char *text = NULL;
    if (json_object_is_type(value, json_type_string)) {
        size_t size = (size_t)json_object_get_string_len(value);
        return size > 0 ? cut_text(ctx, json_object_get_string(value), size) : NULL;
    }
    if (levels == 0)
        return NULL;
    if (json_object_is_type(value, json_type_array))
        return json_object_array_length(value) > 0
                   ? message_within(ctx, json_object_array_get_idx(value, 0), levels - 1)
                   : NULL;
    for (size_t i = 0; !text && i < sizeof names / sizeof *names; i++)
        text = message_within(ctx, json_get(value, names[i]), levels - 1);
    return text;
}

char *api_error_message(void *ctx, json_object *o)
{
    return message_within(ctx, o, NESTED_MAX);
}

char *api_error_text(void *ctx, const char *body, size_t size)
{
    static const char mark[] = "\xef\xbb\xbf";
    json_object *o;
    const char *why;
    char *text = NULL;
    if (size >= sizeof mark - 1 && memcmp(body, mark, sizeof mark - 1) == 0) {
        body += sizeof mark - 1;
        size -= sizeof mark - 1;
    }
    if (!json_has_too_many_values(body, size) &&
        json_parse_tolerant(ctx, body, size, JSON_DEPTH_MAX, &o, &why) == OK)
        text = api_error_message(ctx, o);
    /* no more than can be shown is copied */
    return text ? text : cut_text(ctx, body, size < 4 * API_ERROR_MAX ? size : 4 * (size_t)API_ERROR_MAX);
}

bool api_error_is_final(json_object *o)
{
    static const char *const names[] = {"code", "status", "status_code", "http_code"};
    json_object *error = json_get(o, "error");
    json_object *inner = json_object_is_type(error, json_type_object) ? error : o;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int64_t status = json_object_get_int64(json_get(inner, names[i]));
        if (status >= 400 && status < 600)
            return status < 500 && status != 408 && status != 429;
    }
    return false;
}
