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

/* Steps over `byte` and the space around it. False if another byte stands there. */
static bool take(struct json_raw_cursor *c, char byte)
{
    skip_space(c);
    if (c->at >= c->end || *c->at != byte)
        return false;
    c->at++;
    skip_space(c);
    return true;
}

/* Steps over one value of a text that nobody has checked. False if there is none or it does not end. */
static bool take_value(struct json_raw_cursor *c, struct span *value_r)
{
    const char *begin = c->at;
    raw_skip_value(c);
    if (c->at >= c->end || c->at == begin) /* a bracket or comma must follow */
        return false;
    const char *end = c->at;
    while (end > begin && strchr(" \t\r\n", end[-1]))
        end--;
    *value_r = (struct span){begin, (size_t)(end - begin)};
    return value_r->size > 0;
}

static bool take_key(struct json_raw_cursor *c, const char *name)
{
    const char *begin = c->at;
    if (c->at >= c->end || *c->at != '"')
        return false;
    raw_skip_string(c);
    return c->at < c->end && key_is(begin, c->at, name);
}

/* The array from its bracket on. -1: malformed. */
static ssize_t split_array(struct json_raw_cursor *c, struct span *items, size_t max)
{
    size_t n = 0;
    if (!take(c, '['))
        return -1;
    if (take(c, ']'))
        return 0;
    do {
        struct span item;
        if (!take_value(c, &item))
            return -1;
        if (n == max)
            return (ssize_t)max + 1;
        items[n++] = item;
    } while (take(c, ','));
    return take(c, ']') ? (ssize_t)n : -1;
}

ssize_t json_raw_split(const char *text, size_t size, const char *name, struct span *items, size_t max,
                       const char **why_r)
{
    struct json_raw_cursor c = {text, text + size};
    *why_r = "it must be an object with one member, which is an array";
    if (!take(&c, '{') || !take_key(&c, name) || !take(&c, ':'))
        return -1;
    if (c.at >= c.end || *c.at != '[')
        return -1;
    ssize_t n = split_array(&c, items, max);
    if (n > (ssize_t)max)
        return n;
    *why_r = "the array of items is malformed or does not end";
    if (n < 0)
        return -1;
    *why_r = "the object does not end after its member";
    return take(&c, '}') && c.at == c.end ? n : -1;
}
