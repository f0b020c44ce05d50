#include "json/json_raw.h"

#include <json-c/json.h>
#include <string.h>

struct json_raw_cursor {
    const char *at, *end;
};

static void skip_space(struct json_raw_cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static void raw_skip_string(struct json_raw_cursor *c)
{
    for (c->at++; c->at < c->end && *c->at != '"'; c->at++) {
        if (*c->at == '\\')
            c->at++;
    }
    c->at++;
}

/* Skips one value by counting brackets; brackets within strings do not count. */
static void raw_skip_value(struct json_raw_cursor *c)
{
    int depth = 0;
    while (c->at < c->end) {
        char b = *c->at;
        if (b == '"') {
            raw_skip_string(c);
        } else if (b == '{' || b == '[') {
            depth++;
            c->at++;
        } else if (depth == 0 && (b == ',' || b == '}' || b == ']')) {
            return;
        } else {
            depth -= b == '}' || b == ']';
            c->at++;
        }
        if (depth == 0 && (b == '"' || b == '}' || b == ']'))
            return;
    }
}

/* True if the string token [at, end), quotes included, spells `name`. */
static bool key_is(const char *at, const char *end, const char *name)
{
    size_t n = (size_t)(end - at);
    if (!memchr(at, '\\', n))
        return n == strlen(name) + 2 && memcmp(at + 1, name, n - 2) == 0;
    struct json_tokener *t = json_tokener_new();
    json_object *key = t ? json_tokener_parse_ex(t, at, (int)n) : NULL;
    bool same = json_object_is_type(key, json_type_string) && strcmp(json_object_get_string(key), name) == 0;
    json_object_put(key);
    json_tokener_free(t);
    return same;
}

bool json_raw_member(const char *text, size_t size, const char *name, const char **at_r, size_t *size_r)
{
    struct json_raw_cursor c = {text, text + size};
    bool found = false;
    skip_space(&c);
    if (c.at >= c.end || *c.at != '{')
        return false;
    c.at++;
    for (skip_space(&c); c.at < c.end && *c.at == '"'; skip_space(&c)) {
        const char *key = c.at;
        raw_skip_string(&c);
        bool wanted = key_is(key, c.at, name);
        skip_space(&c);
        c.at++; /* the colon */
        skip_space(&c);
        const char *value = c.at;
        raw_skip_value(&c);
        const char *end = c.at;
        while (end > value && strchr(" \t\r\n", end[-1]))
            end--;
        if (wanted) {
            *at_r = value;
            *size_r = (size_t)(end - value);
            found = true;
        }
        skip_space(&c);
        if (c.at < c.end && *c.at == ',')
            c.at++;
    }
    return found;
}
