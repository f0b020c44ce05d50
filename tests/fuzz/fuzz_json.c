/* Fuzzes JSON in and out. What json_parse accepts is unique in its names, comes back from json_text as an
 * equal value whose text is strict JSON again, and is accepted by the tolerant parser as the same value. Any
 * text that is accepted by either parser is written as valid UTF-8. Each byte of a member that
 * json_raw_member finds is the caller's. */
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/utf8.h"
#include "json/json.h"
#include "json/json_raw.h"
#include "json/json_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH = 32 };

static void need(bool held)
{
    if (!held)
        abort();
}

/* Writes the value, parses that, and writes it again: both texts are equal, and strict JSON. */
static void need_stable(void *ctx, json_object *value)
{
    json_object *again;
    const char *why;
    size_t n, m;
    const char *text = json_text(value, &n);
    need(utf8_is_valid(text, n));
    need(json_parse(ctx, text, n, DEPTH, &again, &why) == OK);
    need(json_equal(value, again));
    const char *second = json_text(again, &m);
    need(n == m && memcmp(text, second, n) == 0);
}

/* Each member of the object is found in the text, and its bytes are the value. */
static void need_members(void *ctx, json_object *object, const char *text, size_t size)
{
    if (!json_object_is_type(object, json_type_object))
        return;
    json_object_object_foreach(object, name, value)
    {
        const char *at, *why;
        size_t n;
        json_object *raw;
        need(json_raw_member(text, size, name, &at, &n) && at >= text && at + n <= text + size);
        need(json_parse(ctx, at, n, DEPTH, &raw, &why) == OK && json_equal(raw, value));
    }
}

/* A string that is written by json_write is read as the same bytes. */
static void need_written(void *ctx, const char *text, size_t size)
{
    json_object *list;
    const char *why;
    size_t n;
    struct json_write *w = json_write_new(ctx);
    json_write_open(w, '[');
    json_write_bytes(w, text, size);
    json_write_close(w, ']');
    const char *json = json_write_result(w, &n);
    need(json_parse(ctx, json, n, DEPTH, &list, &why) == OK);
    struct span read = json_span(json_object_array_get_idx(list, 0));
    need(read.size == size && memcmp(read.at, text, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *ctx = talloc_new(NULL);
    const char *text = (const char *)data, *why = NULL;
    json_object *strict = NULL, *tolerant = NULL;
    enum err e = json_parse(ctx, text, size, DEPTH, &strict, &why);
    need(e == OK || (why && *why && utf8_is_valid(why, strlen(why))));
    enum err repaired = json_parse_tolerant(ctx, text, size, DEPTH, &tolerant, &why);
    if (e == OK) {
        need(repaired == OK && json_equal(strict, tolerant));
        need_stable(ctx, strict);
        need_members(ctx, strict, text, size);
    }
    if (repaired == OK)
        need_stable(ctx, tolerant);
    if (utf8_is_valid(text, size))
        need_written(ctx, text, size);
    talloc_free(ctx);
    return 0;
}
