#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "json/json_raw.h"

struct row {
    const char *text;
    const char *name;
    const char *value; /* NULL: no such member */
};

static const struct row rows[] = {
    {"{\"a\":1}", "a", "1"},
    {"{\"a\":1}", "b", NULL},
    {"{}", "a", NULL},
    {"[{\"a\":1}]", "a", NULL},
    {"\"a\"", "a", NULL},
    {"", "a", NULL},
    {"  \n{ \"a\" :\t1.50 , \"b\" : null }", "a", "1.50"},
    {"  \n{ \"a\" :\t1.50 , \"b\" : null }", "b", "null"},
    {"{\"a\":{\"b\":1},\"b\":2}", "b", "2"},
    {"{\"a\":[{\"b\":1},[]],\"b\":{ \"c\" : [ ] } }", "b", "{ \"c\" : [ ] }"},
    {"{\"a\":[{\"b\":1},[]],\"b\":2}", "a", "[{\"b\":1},[]]"},
    /* brackets, quotes and commas within strings */
    {"{\"x\":\"}],{[\",\"a\":\"\\\"}\",\"b\":1}", "a", "\"\\\"}\""},
    {"{\"x\":\"}],{[\",\"a\":\"\\\"}\",\"b\":1}", "b", "1"},
    {"{\"x\":\"\\\\\",\"a\":1}", "a", "1"},
    /* a value that looks like the key */
    {"{\"x\":\"a\",\"a\":\"x\"}", "a", "\"x\""},
    /* of two equal keys the last counts */
    {"{\"a\":1,\"b\":2,\"a\":3}", "a", "3"},
    /* an escaped key; keys that begin alike */
    {"{\"\\u0061b\":1}", "ab", "1"},
    {"{\"ab\":1}", "a", NULL},
    {"{\"a\":1}", "ab", NULL},
    {"{\"\":7}", "", "7"},
};

Test(json_raw, finds_the_bytes_of_a_member)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *at = NULL;
        size_t size = 0;
        bool found = json_raw_member(rows[i].text, strlen(rows[i].text), rows[i].name, &at, &size);
        cr_assert_eq(found, rows[i].value != NULL, "row %zu", i);
        if (!found)
            continue;
        cr_expect_eq(size, strlen(rows[i].value), "row %zu: \"%.*s\"", i, (int)size, at);
        cr_expect_eq(strncmp(at, rows[i].value, size), 0, "row %zu: \"%.*s\"", i, (int)size, at);
        cr_expect(at >= rows[i].text && at < rows[i].text + strlen(rows[i].text), "row %zu", i);
    }
}

enum { ITEMS = 3 };

static const struct {
    const char *text;
    /* -1: malformed */
    int n;
    const char *items[ITEMS];
} splits[] = {
    {"{\"items\":[]}", 0, {0}},
    {" { \"items\" : [ ] } \n", 0, {0}},
    {"{\"items\":[1]}", 1, {"1"}},
    {"{\"items\": [ {\"a\":[1,2]} ,\t\"x]},\\\"\" , [ ] ] }", 3, {"{\"a\":[1,2]}", "\"x]},\\\"\"", "[ ]"}},
    {"{\"\\u0069tems\":[null]}", 1, {"null"}},
    {"{\"items\":[nonsense, 1e]}", 2, {"nonsense", "1e"}},
    {"{\"items\":[1,2,3]}", 3, {"1", "2", "3"}},
    {"{\"items\":[1,2,3,4]}", ITEMS + 1, {0}},
    {"{\"items\":[1,2,3,4,", ITEMS + 1, {0}},
    {"{\"items\":[1,2,3,4", -1, {0}},
    {"", -1, {0}},
    {"{}", -1, {0}},
    {"[]", -1, {0}},
    {"{\"items\":{}}", -1, {0}},
    {"{\"items\":1}", -1, {0}},
    {"{\"item\":[1]}", -1, {0}},
    {"{items:[1]}", -1, {0}},
    {"{\"items\"[1]}", -1, {0}},
    {"{\"items\":[1]", -1, {0}},
    {"{\"items\":[1", -1, {0}},
    {"{\"items\":[", -1, {0}},
    {"{\"items\":[1,]}", -1, {0}},
    {"{\"items\":[,1]}", -1, {0}},
    {"{\"items\":[1}}", -1, {0}},
    {"{\"items\":[1]]", -1, {0}},
    {"{\"items\":[1],\"items\":[1]}", -1, {0}},
    {"{\"items\":[1],\"x\":1}", -1, {0}},
    {"{\"items\":[1]}{", -1, {0}},
    {"{\"items\":[\"\\", -1, {0}},
    {"{\"items\":[\"", -1, {0}},
    {"{\"items\\", -1, {0}},
    {"{\"", -1, {0}},
    {"{\"items\":[{\"a\":\"]}", -1, {0}},
};

Test(json_raw, splits_a_text_that_nobody_has_checked)
{
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        struct span items[ITEMS];
        const char *why;
        char *text = strdup(splits[i].text); /* of exactly this size, for ASan */
        ssize_t n = json_raw_split(text, strlen(text), "items", items, ITEMS, &why);
        cr_expect_eq(n, splits[i].n, "row %zu: %zd", i, n);
        for (ssize_t k = 0; k < n && n <= ITEMS; k++)
            cr_expect(span_is(items[k], splits[i].items[k]), "row %zu, item %zd", i, k);
        free(text);
    }
}
