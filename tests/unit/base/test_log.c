/* Lines of text and of JSON. log_open and log_set_format act on the process: criterion runs each test in its
 * own. */
#include <criterion/criterion.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/utf8.h"

static char path[] = "/tmp/millrace-log-XXXXXX";

static void open_log(const char *format)
{
    close(mkstemp(path));
    log_set_format(format);
    cr_assert_eq(log_open("test", path, LOG_LEVEL_INFO), OK);
}

/* The only line that was written, without its end. */
static char *read_line(void)
{
    static char text[8192];
    FILE *f = fopen(path, "re");
    size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    unlink(path);
    cr_assert(n > 0 && n <= 4000, "%zu bytes", n);
    cr_assert_eq(text[n - 1], '\n');
    text[n - 1] = '\0';
    cr_assert_eq(strlen(text), n - 1, "a NUL in the line");
    cr_assert_null(strchr(text, '\n'), "two lines");
    return text;
}

/* The line, parsed as strictly as json-c can. */
static json_object *read_object(void)
{
    const char *line = read_line();
    cr_assert(utf8_is_valid(line, strlen(line)), "%s", line);
    json_tokener *parser = json_tokener_new();
    json_tokener_set_flags(parser, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    json_object *o = json_tokener_parse_ex(parser, line, (int)strlen(line) + 1);
    cr_assert(o && json_object_is_type(o, json_type_object), "%s", line);
    json_tokener_free(parser);
    return o;
}

static const char *member(json_object *o, const char *name)
{
    json_object *value;
    return json_object_object_get_ex(o, name, &value) ? json_object_get_string(value) : "(absent)";
}

static bool is_number(json_object *o, const char *name)
{
    json_object *value;
    return json_object_object_get_ex(o, name, &value) &&
           (json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double));
}

Test(log, writes_text_by_default)
{
    open_log("text");
    log_warn("some.event", "n=%d message=\"%s\"", 5, "a\nb\x7f");
    const char *line = read_line();
    cr_assert(strstr(line, " warn test["));
    cr_assert(strstr(line, "] some.event n=5 message=\"a\\x0ab\\x7f\""), "%s", line);
}

Test(log, writes_the_fields_as_members)
{
    open_log("json");
    log_warn("some.event",
             "n=%d all=%llu time=%.3f id=%s word=fixed say=\"%s %.3s\" empty=%s what=\"two words\" last=%zu",
             -5, 18446744073709551615ULL, 1.5, "abc", "it", "works", "", (size_t)7);
    json_object *o = read_object();
    cr_expect_eq(json_object_object_length(o), 13);
    cr_expect_str_eq(member(o, "level"), "warn");
    cr_expect_eq(strncmp(member(o, "process"), "test[", 5), 0);
    cr_expect_str_eq(member(o, "event"), "some.event");
    cr_expect_eq(strlen(member(o, "at")), strlen("2026-01-15T10:30:00.123Z"));
    static const char *const expected[][2] = {
        {"n", "-5"},   {"all", "18446744073709551615"}, {"id", "abc"}, {"word", "fixed"}, {"say", "it wor"},
        {"empty", ""}, {"what", "two words"},           {"last", "7"}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        cr_expect_str_eq(member(o, expected[i][0]), expected[i][1], "%s: %s", expected[i][0],
                         member(o, expected[i][0]));
    cr_expect(is_number(o, "n") && is_number(o, "all") && is_number(o, "time") && is_number(o, "last"));
    cr_expect(!is_number(o, "id") && !is_number(o, "word"));
    json_object_put(o);
}

Test(log, keeps_the_type_of_a_field)
{
    open_log("json");
    log_info("some.event", "text=%s hex=%x padded=%03d seconds=%.3f", "12", 10, 7,
             (double)0 / strtod("0", NULL));
    json_object *o = read_object();
    cr_expect(!is_number(o, "text") && !is_number(o, "hex") && !is_number(o, "padded"));
    cr_expect(!is_number(o, "seconds"), "nan is no number of JSON");
    cr_expect_str_eq(member(o, "padded"), "007");
    json_object_put(o);
}

Test(log, lets_no_value_add_a_member_or_end_a_line)
{
    static const char hostile[] =
        "x\" event=forged level=\"error\" execution=1 \"},{\"a\":\"\\\n\r\t\x01 \x1f";
    open_log("json");
    log_info("some.event", "before=%s message=\"%s\" after=%s", hostile, hostile, "end");
    json_object *o = read_object();
    cr_expect_eq(json_object_object_length(o), 7);
    cr_expect_str_eq(member(o, "event"), "some.event");
    cr_expect_str_eq(member(o, "before"), hostile);
    cr_expect_str_eq(member(o, "message"), hostile);
    cr_expect_str_eq(member(o, "after"), "end");
    json_object_put(o);
}

Test(log, writes_strict_utf8)
{
    /* overlong, surrogate, above U+10FFFF, cut short, stray continuation bytes, and valid ones around them */
    static const char hostile[] =
        "\xc3\xa9\xc0\xaf|\xed\xa0\x80|\xf4\x90\x80\x80|\xe2\x82|\x80\xbf|\xff\xfe|\xf0\x9f\x98\x80";
    open_log("json");
    log_info("some.event", "value=%s last=%d", hostile, 1);
    json_object *o = read_object();
    const char *value = member(o, "value");
    cr_expect_eq(strncmp(value, "\xc3\xa9\xef\xbf\xbd", 5), 0);
    cr_expect_str_eq(value + strlen(value) - 5, "|\xf0\x9f\x98\x80");
    cr_expect(is_number(o, "last"));
    json_object_put(o);
}

/* Each length of each kind of filling ends in one whole object: text that grows by escapes, characters of
 * several bytes that are cut, and bytes that become three. */
Test(log, ends_a_cut_line_as_an_object)
{
    static const char *const fillings[] = {"a", "\x01", "\"", "\xff", "\xc3\xa9", "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < sizeof fillings / sizeof *fillings; i++) {
        for (size_t n = 600; n < 4200; n += 97) {
            char text[4 * 4200 + 1] = "";
            size_t unit = strlen(fillings[i]);
            for (size_t at = 0; at < n; at++)
                memcpy(text + at * unit, fillings[i], unit + 1);
            (void)snprintf(path, sizeof path, "/tmp/millrace-log-XXXXXX");
            open_log("json");
            log_info("some.event", "first=%d value=\"%s\" last=%d", 1, text, 2);
            json_object *o = read_object();
            bool is_cut = strcmp(member(o, "cut"), "true") == 0;
            cr_expect_neq(is_cut, strcmp(member(o, "last"), "2") == 0, "%zu of %zu", n, i);
            cr_expect_eq(is_cut, strlen(member(o, "value")) < n * (i == 3 ? 3 : unit), "%zu of %zu", n, i);
            json_object_put(o);
        }
    }
}

Test(log, writes_a_format_without_fields_as_text)
{
    open_log("json");
    log_info("some.event", "n=%d and words %s", 1, "\x02here");
    json_object *o = read_object();
    cr_expect_str_eq(member(o, "n"), "1");
    cr_expect_str_eq(member(o, "text"), "and words \x02here");
    json_object_put(o);
}

Test(log, knows_its_formats)
{
    cr_expect_null(log_format_problem("text"));
    cr_expect_null(log_format_problem("json"));
    cr_expect_not_null(log_format_problem("JSON"));
    cr_expect_not_null(log_format_problem(""));
}

struct copied {
    char text[4100];
    int lines;
};

static void copy_line(void *arg, const char *line, size_t size)
{
    struct copied *c = arg;
    (void)snprintf(c->text, sizeof c->text, "%.*s", (int)size, line);
    c->lines++;
}

Test(log, copies_lines_of_both_formats_as_json)
{
    static const char *const formats[] = {"text", "json"};
    for (size_t i = 0; i < 2; i++) {
        struct copied c = {0};
        (void)snprintf(path, sizeof path, "/tmp/millrace-log-XXXXXX");
        open_log(formats[i]);
        log_set_copy(copy_line, &c);
        log_debug("some.event", "n=%d", 0); /* below the level */
        log_warn("some.event", "n=%d value=\"%s\"", 1, "a \\ \"quoted\" one");
        log_set_copy(NULL, NULL);
        log_info("some.event", "n=%d", 2);
        cr_assert_eq(c.lines, 1, "%s", formats[i]);
        json_object *o = json_tokener_parse(c.text);
        cr_assert(o);
        cr_expect_str_eq(member(o, "level"), "warn");
        cr_expect(is_number(o, "n"));
        cr_expect_str_eq(member(o, "value"), "a \\ \"quoted\" one");
        json_object_put(o);
        unlink(path);
    }
}
