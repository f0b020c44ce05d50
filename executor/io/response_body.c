#include "executor/io/response_body.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/utf8.h"
#include "json/json.h"

static bool is_json_media_type(const char *content_type)
{
    const char *type = content_type + strspn(content_type, " \t");
    size_t n = strcspn(type, "; \t,");
    return (n == 16 && strncasecmp(type, "application/json", n) == 0) ||
           (n == 9 && strncasecmp(type, "text/json", n) == 0) ||
           (n > 5 && strncasecmp(type + n - 5, "+json", 5) == 0);
}

static json_object *text_value(void *ctx, const char *bytes, size_t size)
{
    char *text = talloc_array(ctx, char, size * 3 + 1);
    return json_object_new_string_len(text, (int)utf8_sanitize(text, bytes, size, true));
}

json_object *response_body_value(void *ctx, const char *content_type, const char *body, size_t size,
                                 const char **why_r)
{
    json_object *value;
    const char *why = NULL;
    *why_r = NULL;
    if (size == 0)
        return NULL;
    if (is_json_media_type(content_type)) {
        if (json_has_too_many_values(body, size))
            why = "it has more than 300000 values, of which each object counts as 3";
        else if (json_parse_tolerant(ctx, body, size, RESPONSE_DEPTH_MAX, &value, &why) == OK)
            return json_object_get(value);
        *why_r = talloc_asprintf(ctx, "the body could not be parsed as JSON: %s", why);
    }
    return text_value(ctx, body, size);
}
