#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "json/json.h"
#include "json/json_changed.h"

static enum err parse_text(const char *text, size_t size, int depth)
{
    void *ctx = talloc_new(NULL);
    json_object *v;
    const char *why;
    enum err e = json_parse(ctx, text, size, depth, &v, &why);
    talloc_free(ctx);
    return e;
}

Test(json, accepts_valid_json)
{
    static const char *const good[] = {
        "{}",
        " [] ",
        "null",
        "0",
        "-1",
        "1.5e3",
        "\"x\"",
        "true",
        "{\"a\":[1,{\"b\":null}]}\r\n",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
        "\"\\u0000\"",
        "{\"a\":\"\\u0000\"}",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect_eq(parse_text(good[i], strlen(good[i]), 32), OK, "%s", good[i]);
}

Test(json, rejects_invalid_json)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "'x'",
        "01",
        "1 2",
        "{} x",
        "nul",
        "NaN",
        "Infinity",
        "1e999",
        "-",
        "18446744073709551616",
        "-9223372036854775809",
        "99999999999999999999999",
        "\"\xff\"",
        "\"\xc3\"",
        "// c\n1",
        "{\"a\\u0000b\":1}",
        "[1}",
        "\"tab\there\"",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(parse_text(bad[i], strlen(bad[i]), 32), ERR_INVALID, "%s", bad[i]);
    cr_expect_eq(parse_text("1\0", 2, 32), ERR_INVALID, "a NUL byte");
}

Test(json, limits_the_depth)
{
    char text[200];
    for (int depth = 30; depth <= 34; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        cr_expect_eq(parse_text(text, (size_t)depth * 2, 32), depth <= 32 ? OK : ERR_INVALID, "%d", depth);
    }
}

Test(json, numbers_are_equal_by_value)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"1", "1.0", true},
        {"1", "true", false},
        {"0", "-0.0", true},
        {"9007199254740993", "9007199254740992.0", false},
        {"18446744073709551615", "18446744073709551615", true},
        {"18446744073709551615", "9223372036854775807", false},
        {"{\"a\":1,\"b\":[2]}", "{\"b\":[2.0],\"a\":1}", true},
        {"{\"a\":null}", "{}", false},
        {"\"a\\u0000b\"", "\"a\\u0000c\"", false},
        {"null", "null", true},
        {"[1,2]", "[2,1]", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *ctx = talloc_new(NULL);
        json_object *a;
        json_object *b;
        const char *why;
        cr_assert_eq(json_parse(ctx, cases[i].a, strlen(cases[i].a), 32, &a, &why), OK);
        cr_assert_eq(json_parse(ctx, cases[i].b, strlen(cases[i].b), 32, &b, &why), OK);
        cr_expect_eq(json_equal(a, b), cases[i].equal, "%s %s", cases[i].a, cases[i].b);
        cr_expect_eq(json_equal(b, a), cases[i].equal, "%s %s", cases[i].b, cases[i].a);
        talloc_free(ctx);
    }
}

/* A comparison stops where its budget ends, and says so. */
Test(json, equality_within_a_budget)
{
    static const struct {
        const char *text;
        size_t units;
    } rows[] = {
        {"1", JSON_NODE_UNITS},
        {"[1,2,null]", 4 * JSON_NODE_UNITS},
        {"\"0123456789012345678901234567890123456789012345678901234567890123\"", JSON_NODE_UNITS + 2},
        {"{\"a\":1,\"bbbbbbbb\":[]}", 3 * JSON_NODE_UNITS + 2 * JSON_LOOKUP_UNITS + 1 + 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *ctx = talloc_new(NULL);
        json_object *a;
        json_object *b;
        const char *why;
        cr_assert_eq(json_parse(ctx, rows[i].text, strlen(rows[i].text), 32, &a, &why), OK);
        cr_assert_eq(json_parse(ctx, rows[i].text, strlen(rows[i].text), 32, &b, &why), OK);
        struct budget enough = {.limit = rows[i].units};
        struct budget less = {.limit = rows[i].units - 1};
        cr_expect(json_equal_within(a, b, &enough), "%s", rows[i].text);
        cr_expect_eq(enough.used, rows[i].units, "%s", rows[i].text);
        cr_expect_not(json_equal_within(a, b, &less), "%s", rows[i].text);
        cr_expect(less.exceeded, "%s", rows[i].text);
        talloc_free(ctx);
    }
}

static const char *why_of(void *ctx, const char *text, size_t size)
{
    json_object *value;
    const char *why = NULL;
    return json_parse(ctx, text, size, 32, &value, &why) == OK ? NULL : why;
}

/* What json-c would change, and what no client may send, with the clause for the caller. */
Test(json, says_what_is_wrong)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"{\"n\":-1,\"n\":5}", "the name \"n\" stands twice in one object, again at byte 8"},
        {"{\"a\":{\"b\":1,\"\\u0062\":2}}", "the name \"b\" stands twice in one object, again at byte 12"},
        {"[{\"a\":1},[{\"\":1,\"\":1}]]", "the name \"\" stands twice in one object, again at byte 16"},
        {"{\"\xc3\xa9\":1,\"\\u00E9\":2}",
         "the name \"\xc3\xa9\" stands twice in one object, again at byte 8"},
        {"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}",
         "the name \"\xf0\x9f\x98\x80\" stands twice in one object, again at byte 18"},
        {"{\"x\":\"\\ud800\"}", "the escape \\ud800 at byte 6 is half of a surrogate pair"},
        {"{\"\\udfff\":1}", "the escape \\udfff at byte 2 is half of a surrogate pair"},
        {"\"\\uD800\\uD800\\uDC00\"", "the escape \\uD800 at byte 1 is half of a surrogate pair"},
        {"\"\\ud800x\\udc00\"", "the escape \\ud800 at byte 1 is half of a surrogate pair"},
        {"\"\\ud800\\\\udc00\"", "the escape \\ud800 at byte 1 is half of a surrogate pair"},
        {"\xef\xbb\xbf{}", "it begins with a byte order mark (the bytes EF BB BF); send it without"},
        {"[\"\xed\xa0\x80\"]", "not valid UTF-8 at byte 2"},
        {"{\"a\\u0000b\":1}", "an object key contains a NUL character"},
        {"{} {}", "unexpected data after the JSON text at byte 3"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *ctx = talloc_new(NULL);
        const char *why = why_of(ctx, rows[i].text, strlen(rows[i].text));
        cr_expect(why && strcmp(why, rows[i].why) == 0, "%s: %s", rows[i].text, why ? why : "accepted");
        talloc_free(ctx);
    }
}

static const char *changed_places(void *ctx, const char *text)
{
    struct json_problems *problems = json_problems_new(ctx);
    char *all = talloc_strdup(ctx, "");
    json_find_changed(ctx, text, strlen(text), problems);
    for (size_t i = 0; i < problems->count; i++)
        all = talloc_asprintf_append(all, "%s %s;", problems->list[i].pointer, problems->list[i].message);
    return all;
}

Test(json, finds_every_place_that_would_change)
{
    static const struct {
        const char *text, *places;
    } rows[] = {
        {"{\"a\":[{},{\"n\":1, \"n\" :2}],\"b\":{\"n\":[]}}", "/a/1/n stands twice in one object;"},
        {"{\"a\":1,\"a\":2,\"\\u0061\":3}", "/a stands twice in one object;/a stands twice in one object;"},
        {"[[],[0,[\"x\",\"\\ud800\\udfff\\udfff\"]]]",
         "/1/1/1 has the escape \\udfff, which is half of a surrogate pair;"},
        {"{\"a/~\":{\"\":{\"b\":1,\"b\":\"\\uD800\"}}}",
         "/a~1~0//b stands twice in one object;"
         "/a~1~0//b has the escape \\uD800, which is half of a surrogate pair;"},
        {"{\"a\":\"{,[\\\\\",\"b\":\"\\\"\"}", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *ctx = talloc_new(NULL);
        cr_expect_str_eq(changed_places(ctx, rows[i].text), rows[i].places);
        talloc_free(ctx);
    }
}

/* A value is written as it was read. */
Test(json, writes_what_it_read)
{
    static const char *const texts[] = {
        "-0",
        "[0,-0,1,-0.0,-0,{\"a\":-0,\"b\":0,\"c\":[-0]}]",
        "{\"a\":\"\\u0000\",\"b\":\"a\\u0000b\"}",
        "[1e400000000000000000000000000000000000000000000000000000]",
        "[1.10,-0e0,18446744073709551615,-9223372036854775808,0.1e-999]",
        "{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":2}}",
        "\"\\\\ud800 \xf0\x9f\x98\x80\"",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        void *ctx = talloc_new(NULL);
        json_object *value;
        const char *why;
        if (json_parse(ctx, texts[i], strlen(texts[i]), 32, &value, &why) == OK)
            cr_expect_str_eq(json_text(value, NULL), texts[i]);
        else
            cr_expect_eq(i, 3, "%s: %s", texts[i], why);
        talloc_free(ctx);
    }
}

/* -0 is an integer, equal to 0. */
Test(json, minus_zero_is_zero)
{
    void *ctx = talloc_new(NULL);
    json_object *list;
    const char *why;
    cr_assert_eq(json_parse(ctx, "[0,-0,-0.0]", 11, 32, &list, &why), OK);
    for (size_t i = 0; i < 9; i++)
        cr_expect(json_equal(json_object_array_get_idx(list, i / 3), json_object_array_get_idx(list, i % 3)));
    talloc_free(ctx);
}

/* What a server answers, or an earlier version has stored, is repaired. */
Test(json, tolerates_what_nobody_can_send_again)
{
    static const struct {
        const char *text, *read;
    } rows[] = {
        {"\xef\xbb\xbf{\"a\":-0}", "{\"a\":-0}"},
        {"{\"n\":-1,\"n\":-0,\"m\":2}", "{\"n\":0,\"m\":2}"},
        {"\"\\ud800\"", "\"\xef\xbf\xbd\""},
        {"[\"\\ud800\\u0041\",\"\\udc00\"]", "[\"\xef\xbf\xbd"
                                             "A\",\"\xef\xbf\xbd\"]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *ctx = talloc_new(NULL);
        json_object *value;
        const char *why;
        cr_assert_eq(json_parse_tolerant(ctx, rows[i].text, strlen(rows[i].text), 32, &value, &why), OK, "%s",
                     rows[i].text);
        cr_expect_str_eq(json_text(value, NULL), rows[i].read);
        cr_expect_eq(json_parse_tolerant(ctx, "{\"a\\u0000b\":1}", 14, 32, &value, &why), ERR_INVALID);
        talloc_free(ctx);
    }
}

static enum err parse_repeated(void *ctx, const char *item, size_t n, const char **why_r)
{
    json_object *value;
    size_t each = strlen(item) + 1;
    char *text = talloc_zero_array(ctx, char, n *each + 2);
    for (size_t i = 0; i < n; i++) {
        text[i * each] = i ? ',' : '[';
        memcpy(text + i * each + 1, item, each - 1);
    }
    text[n * each] = ']';
    return json_parse(ctx, text, n * each + 1, 32, &value, why_r);
}

Test(json, bounds_the_number_of_values)
{
    void *ctx = talloc_new(NULL);
    const char *why = NULL;
    cr_expect_eq(parse_repeated(ctx, "0", JSON_VALUES_MAX - 2, &why), OK);
    cr_expect_eq(parse_repeated(ctx, "0", JSON_VALUES_MAX + 1, &why), ERR_LIMIT);
    cr_expect_str_eq(why, "it has more than 300000 values, of which each object counts as 3");
    cr_expect_eq(parse_repeated(ctx, "{}", JSON_VALUES_MAX / 4, &why), ERR_LIMIT);
    cr_expect_eq(parse_repeated(ctx, "{}", JSON_VALUES_MAX / 4 - 2, &why), OK);
    cr_expect_eq(parse_repeated(ctx, "[]", JSON_VALUES_MAX, &why), ERR_LIMIT);
    cr_expect_eq(parse_repeated(ctx, "\",,[{\\\",,[{\"", JSON_VALUES_MAX / 4, &why), OK, "within strings");
    talloc_free(ctx);
}
