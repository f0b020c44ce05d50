#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "json/json.h"
#include "json/json_write.h"

static void expect_text(struct json_write *w, const char *expected)
{
    size_t size;
    const char *text = json_write_result(w, &size);
    cr_expect_str_eq(text, expected);
    cr_expect_eq(size, strlen(expected));
}

Test(json_write, sets_commas_in_nested_containers)
{
    struct json_write *w = json_write_new(NULL);
    json_write_open(w, '[');
    json_write_open(w, '{');
    json_write_close(w, '}');
    json_write_number(w, -1);
    json_write_open(w, '[');
    json_write_null(w);
    json_write_null(w);
    json_write_close(w, ']');
    json_write_open(w, '{');
    json_write_key(w, "a");
    json_write_open(w, '[');
    json_write_close(w, ']');
    json_write_key(w, "b");
    json_write_raw(w, "{\"x\":1.50}", 10);
    json_write_close(w, '}');
    json_write_bytes(w, "s", 1);
    json_write_close(w, ']');
    expect_text(w, "[{},-1,[null,null],{\"a\":[],\"b\":{\"x\":1.50}},\"s\"]");
    talloc_free(w);
}

Test(json_write, writes_members)
{
    struct json_write *w = json_write_new(NULL);
    id none = {""};
    id some;
    cr_assert(id_parse("0190ABCD-0000-7000-8000-000000000001", ID_LENGTH, &some));
    json_write_open(w, '{');
    json_write_text(w, "t", "x");
    json_write_text(w, "u", NULL);
    json_write_json(w, "j", "[1]");
    json_write_json(w, "k", NULL);
    json_write_id(w, "i", &some);
    json_write_id(w, "n", &none);
    json_write_int(w, "min", INT64_MIN);
    json_write_flag(w, "yes", true);
    json_write_flag(w, "no", false);
    json_write_time(w, "never", 0, true);
    json_write_time(w, "z", 1768473000123, true);
    json_write_time(w, "o", 1768473000123, false);
    json_write_close(w, '}');
    expect_text(w, "{\"t\":\"x\",\"u\":null,\"j\":[1],\"k\":null,"
                   "\"i\":\"0190abcd-0000-7000-8000-000000000001\",\"n\":null,"
                   "\"min\":-9223372036854775808,\"yes\":true,\"no\":false,\"never\":null,"
                   "\"z\":\"2026-01-15T10:30:00.123Z\",\"o\":\"2026-01-15T10:30:00.123+00:00\"}");
    talloc_free(w);
}

Test(json_write, credits_have_no_trailing_zeros)
{
    static const struct {
        int64_t micro;
        const char *text;
    } rows[] = {
        {0, "{\"c\":0}"},
        {1, "{\"c\":0.000001}"},
        {-1, "{\"c\":-0.000001}"},
        {1500000, "{\"c\":1.5}"},
        {-1500000, "{\"c\":-1.5}"},
        {10000000, "{\"c\":10}"},
        {1230000, "{\"c\":1.23}"},
        {INT64_MAX, "{\"c\":9223372036854.775807}"},
        {INT64_MIN, "{\"c\":-9223372036854.775808}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct json_write *w = json_write_new(NULL);
        json_write_open(w, '{');
        json_write_credits(w, "c", rows[i].micro);
        json_write_close(w, '}');
        expect_text(w, rows[i].text);
        talloc_free(w);
    }
}

/* All of ASCII and a character of each length, read back by the parser. */
Test(json_write, strings_survive_parsing)
{
    static const char tail[] = "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
    char text[128 + sizeof tail];
    for (int c = 0; c < 128; c++)
        text[c] = (char)c;
    memcpy(text + 128, tail, sizeof tail);
    size_t size = 128 + sizeof tail - 1;
    struct json_write *w = json_write_new(NULL);
    json_write_bytes(w, text, size);
    size_t n;
    const char *json = json_write_result(w, &n);
    json_object *value;
    const char *why = "";
    cr_assert_eq(json_parse(w, json, n, 1, &value, &why), OK, "%s", why);
    cr_expect_eq((size_t)json_object_get_string_len(value), size);
    cr_expect_eq(memcmp(json_object_get_string(value), text, size), 0);
    for (size_t i = 0; i < n; i++)
        cr_expect((unsigned char)json[i] >= 32 && json[i] != 127, "a raw control character at %zu", i);
    talloc_free(w);
}

/* More than the first size of the buffer, in pieces around its end. */
Test(json_write, grows)
{
    struct json_write *w = json_write_new(NULL);
    char *expected = talloc_strdup(w, "[");
    json_write_open(w, '[');
    for (int i = 0; i < 5000; i++) {
        json_write_bytes(w, "\n\n\n\n", (size_t)(i % 5));
        expected =
            talloc_asprintf_append_buffer(expected, "%s\"%.*s\"", i ? "," : "", 2 * (i % 5), "\\n\\n\\n\\n");
    }
    json_write_close(w, ']');
    expected = talloc_strdup_append_buffer(expected, "]");
    expect_text(w, expected);
    talloc_free(w);
}

Test(json_write, replaces_halves_of_surrogate_pairs)
{
    static const struct {
        const char *stored, *written;
    } rows[] = {
        {"[\"\\ud800\",\"\\uDFFFx\"]", "[\"\\ufffd\",\"\\ufffdx\"]"},
        {"\"\\ud83d\\ude00\"", "\"\\ud83d\\ude00\""},
        {"\"\\ud83d\\ud83d\\ude00\\ude00\"", "\"\\ufffd\\ud83d\\ude00\\ufffd\""},
        {"\"\\\\ud800 \\\\\\ud800\"", "\"\\\\ud800 \\\\\\ufffd\""},
        {"{\"\\uD812\\n\":\"\\u00d8\\ud7ff\\ue000\"}", "{\"\\ufffd\\n\":\"\\u00d8\\ud7ff\\ue000\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json_write *w = json_write_new(NULL);
        json_write_raw(w, rows[i].stored, strlen(rows[i].stored));
        expect_text(w, rows[i].written);
        talloc_free(w);
    }
}

/* Every byte, at each place of a text that is read eight bytes at a time, alone and beside another one. */
Test(json_write, escapes_each_byte_at_each_place)
{
    char text[20], expected[160];
    for (size_t size = 1; size < sizeof text; size++) {
        for (size_t at = 0; at < size; at++) {
            for (unsigned c = 1; c < 256; c++) {
                struct json_write *w = json_write_new(NULL);
                bool is_plain = c >= 32 && c != '"' && c != '\\' && c != 127;
                memset(text, 'a', size);
                text[at] = (char)c;
                json_write_bytes(w, text, size);
                size_t n;
                const char *written = json_write_result(w, &n);
                snprintf(expected, sizeof expected, "\"%.*s", (int)at, text);
                cr_assert_eq(strncmp(written, expected, at + 1), 0);
                cr_assert_eq(written[at + 1], is_plain ? (char)c : '\\', "byte %u at %zu of %zu", c, at,
                             size);
                snprintf(expected, sizeof expected, "%.*s\"", (int)(size - at - 1), text + at + 1);
                cr_assert_str_eq(written + n - (size - at), expected);
                talloc_free(w);
            }
        }
    }
}

Test(json_write, writes_credits)
{
    static const struct {
        int64_t micro;
        const char *text;
    } cases[] = {
        {0, "{\"c\":0}"},
        {1, "{\"c\":0.000001}"},
        {-1, "{\"c\":-0.000001}"},
        {-1500000, "{\"c\":-1.5}"},
        {1000000, "{\"c\":1}"},
        {1230000, "{\"c\":1.23}"},
        {INT64_MAX, "{\"c\":9223372036854.775807}"},
        {INT64_MIN, "{\"c\":-9223372036854.775808}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_write *w = json_write_new(NULL);
        json_write_open(w, '{');
        json_write_credits(w, "c", cases[i].micro);
        json_write_close(w, '}');
        expect_text(w, cases[i].text);
        talloc_free(w);
    }
}
