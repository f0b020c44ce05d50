#include "fcgi/http/request_body.h"

#include <string.h>
#include <strings.h>

#include "base/field.h"
#include "fcgi/http/slow.h"
#include "json/json.h"

/* True if the type and subtype, which are the first `n` bytes of a Content-Type, are `name`. */
static bool media_type_is(const char *type, size_t n, const char *name)
{
    return n == strlen(name) && strncasecmp(type, name, n) == 0;
}

/* True for application/json with any parameters, and for no type at all. If a key header authenticated the
 * request, also for application/x-www-form-urlencoded, which `curl -d` sends by default. Without a key header
 * that type is rejected: a page of another site can make a browser send a form without asking, but it cannot
 * set a header. */
static bool is_json_type(const struct request *r, const char *type)
{
    size_t n = strcspn(type, "; \t");
    return n == 0 || media_type_is(type, n, "application/json") ||
           (r->access.by_header && media_type_is(type, n, "application/x-www-form-urlencoded"));
}

bool request_media_type_is(const struct request *r, const char *name)
{
    const char *type = request_param(r, "CONTENT_TYPE");
    return type && media_type_is(type, strcspn(type, "; \t"), name);
}

bool request_body_is_plain(struct request *r)
{
    const char *codings = request_list(r, "HTTP_CONTENT_ENCODING");
    struct span item;
    for (const char *p = codings; p && (p = field_next_item(p, &item));) {
        if (item.size != 8 || strncasecmp(item.at, "identity", 8) != 0)
            return request_reject(r, 415, "unsupported_media_type",
                                  "Content-Encoding %s is not supported; send the body without an encoding.",
                                  codings);
    }
    return true;
}

bool request_charset_is_utf8(struct request *r)
{
    const char *type = request_param(r, "CONTENT_TYPE");
    struct span rest = span_text(type);
    char *name, *value;
    while (type && field_next_parameter(r, &rest, &name, &value)) {
        if (strcasecmp(name, "charset") == 0 && (!value || strcasecmp(value, "utf-8") != 0))
            return request_reject(r, 415, "unsupported_media_type",
                                  "The charset %s is not supported; send the body in UTF-8.",
                                  value ? value : "");
    }
    return true;
}

bool request_body_is_json(struct request *r)
{
    const char *type = request_param(r, "CONTENT_TYPE");
    if (type && !is_json_type(r, type))
        return request_reject(r, 415, "unsupported_media_type",
                              "The body must be JSON, sent as Content-Type: application/json.");
    return request_charset_is_utf8(r);
}

bool request_json(struct request *r, json_object **object_r)
{
    *object_r = NULL;
    return r->body_size == 0 || (request_body_is_json(r) && request_object(r, object_r));
}

bool request_object(struct request *r, json_object **object_r)
{
    const char *why;
    *object_r = NULL;
    if (json_parse(r, r->body, r->body_size, JSON_DEPTH_MAX, object_r, &why) != OK)
        return request_reject(r, 400, "invalid_json", "Invalid JSON: %s.", why);
    if (!json_object_is_type(*object_r, json_type_object))
        return request_reject(r, 400, "invalid_request", "The body must be a JSON object.");
    return true;
}

bool request_body_has_turn(struct request *r, size_t max)
{
    int64_t length = request_content_length(r);
    return length <= SLOW_JSON_BYTES || length > (int64_t)max || slow_begin(r);
}
