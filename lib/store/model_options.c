#include "store/model_options.h"

#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/uri.h"
#include "json/json.h"

/* The parameter without which there is no conversation. */
static const char protected_name[] = "messages";

static const char *check_name(void *ctx, const char *member, json_object *name)
{
    const char *text = json_object_is_type(name, json_type_string) ? json_object_get_string(name) : "";
    if (!*text || strlen(text) != (size_t)json_object_get_string_len(name))
        return talloc_asprintf(ctx, "/%s must hold names of parameters", member);
    if (strcmp(text, protected_name) == 0)
        return talloc_asprintf(ctx, "/%s must not change messages", member);
    return NULL;
}

static const char *check_key(void *ctx, const char *member, const char *key)
{
    json_object *name = json_own(ctx, json_object_new_string(key));
    return check_name(ctx, member, name);
}

static const char *check_rename(void *ctx, json_object *rename)
{
    const char *why = NULL;
    if (!json_object_is_type(rename, json_type_object))
        return "/rename must be an object of names";
    json_object_object_foreach(rename, from, to)
    {
        why = why ? why : check_key(ctx, "rename", from);
        why = why ? why : check_name(ctx, "rename", to);
    }
    return why;
}

static const char *check_drop(void *ctx, json_object *drop)
{
    const char *why = NULL;
    if (!json_object_is_type(drop, json_type_array))
        return "/drop must be a list of names";
    for (size_t i = 0; !why && i < json_object_array_length(drop); i++)
        why = check_name(ctx, "drop", json_object_array_get_idx(drop, i));
    return why;
}

static const char *check_add(void *ctx, json_object *add)
{
    const char *why = NULL;
    if (!json_object_is_type(add, json_type_object))
        return "/add must be an object of parameters";
    json_object_object_foreach(add, name, value)
    {
        (void)value;
        why = why ? why : check_key(ctx, "add", name);
    }
    return why;
}

static const char *check_key_header(void *ctx, json_object *value)
{
    /* those that the request has already, and those of the connection */
    static const char *const taken[] = {"accept",         "connection", "content-length",    "content-type",
                                        "expect",         "host",       "transfer-encoding", "traceparent",
                                        "accept-encoding"};
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const char *name = json_plain(value);
    if (!name || !*name || strspn(name, token) != strlen(name))
        return "/key_header must be the name of a header";
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        if (strcasecmp(name, taken[i]) == 0)
            return talloc_asprintf(ctx, "/key_header must not be %s, which has another use", taken[i]);
    }
    return NULL;
}

static const char *check_query(void *ctx, json_object *query)
{
    (void)ctx;
    if (!json_object_is_type(query, json_type_object))
        return "/query must be an object of texts";
    json_object_object_foreach(query, name, value)
    {
        if (!*name || !json_object_is_type(value, json_type_string))
            return "/query must be an object of texts";
    }
    return NULL;
}

static const char *check_options(void *ctx, json_object *options)
{
    static const struct {
        const char *name;
        const char *(*check)(void *ctx, json_object *value);
    } members[] = {{"rename", check_rename},
                   {"drop", check_drop},
                   {"add", check_add},
                   {"key_header", check_key_header},
                   {"query", check_query}};
    const char *why = NULL;
    size_t known = 0;
    if (!json_object_is_type(options, json_type_object))
        return "must be a JSON object";
    for (size_t i = 0; !why && i < sizeof members / sizeof *members; i++) {
        json_object *value;
        if (!json_object_object_get_ex(options, members[i].name, &value))
            continue;
        why = members[i].check(ctx, value);
        known++;
    }
    if (!why && known < (size_t)json_object_object_length(options))
        why = "has a member other than rename, drop, add, key_header and query";
    return why;
}

enum err model_options_parse(void *ctx, const char *text, json_object **options_r, const char **why_r)
{
    *options_r = NULL;
    if (strlen(text) > MODEL_OPTIONS_MAX) {
        *why_r = "is longer than 4096 bytes";
        return ERR_INVALID;
    }
    enum err e = json_parse(ctx, text, strlen(text), JSON_DEPTH_MAX, options_r, why_r);
    if (e != OK)
        return e;
    *why_r = check_options(ctx, *options_r);
    return *why_r ? ERR_INVALID : OK;
}

void model_options_apply(json_object *options, json_object *request)
{
    json_object *rename = json_get(options, "rename"), *drop = json_get(options, "drop"),
                *add = json_get(options, "add");
    if (rename) {
        json_object_object_foreach(rename, from, to)
        {
            json_object *value;
            if (!json_object_object_get_ex(request, from, &value))
                continue;
            json_object_get(value);
            json_object_object_del(request, from);
            json_object_object_add(request, json_object_get_string(to), value);
        }
    }
    for (size_t i = 0; drop && i < json_object_array_length(drop); i++)
        json_object_object_del(request, json_object_get_string(json_object_array_get_idx(drop, i)));
    if (add) {
        json_object_object_foreach(add, name, value)
        {
            json_object_object_add(request, name, json_object_get(value));
        }
    }
}

const char *model_options_key_header(json_object *options)
{
    return json_get_text(options, "key_header");
}

const char *model_options_query(void *ctx, json_object *options)
{
    json_object *query = json_get(options, "query");
    char *text = talloc_strdup(ctx, "");
    if (!query)
        return text;
    json_object_object_foreach(query, name, value)
    {
        struct span s = json_span(value);
        text = talloc_strdup_append(text, *text ? "&" : "?");
        uri_percent_encode(&text, name, strlen(name));
        text = talloc_strdup_append(text, "=");
        uri_percent_encode(&text, s.at, s.size);
    }
    return text;
}
