#include <criterion/criterion.h>
#include <string.h>

#include "base/utf8.h"

struct row {
    const char *text;
    size_t size;
    bool valid;
    /* what utf8_sanitize makes of it */
    const char *clean;
};

#define FFFD "\xef\xbf\xbd"
#define ROW(text, valid, clean)                                                                              \
    {                                                                                                        \
        text, sizeof text - 1, valid, clean                                                                  \
    }

static const struct row rows[] = {
    ROW("", true, ""),
    ROW("plain", true, "plain"),
    ROW("\x7f", true, "\x7f"),
    ROW("\xc2\x80", true, "\xc2\x80"),
    ROW("\xdf\xbf", true, "\xdf\xbf"),
    ROW("\xe0\xa0\x80", true, "\xe0\xa0\x80"),
    ROW("\xed\x9f\xbf", true, "\xed\x9f\xbf"),
    ROW("\xee\x80\x80", true, "\xee\x80\x80"),
    ROW("\xef\xbf\xbf", true, "\xef\xbf\xbf"),
    ROW("\xf0\x90\x80\x80", true, "\xf0\x90\x80\x80"),
    ROW("\xf4\x8f\xbf\xbf", true, "\xf4\x8f\xbf\xbf"),
    /* lone continuation, overlong, surrogate, above U+10FFFF */
    ROW("\x80", false, FFFD),
    ROW("\xc0\xaf", false, FFFD FFFD),
    ROW("\xc1\xbf", false, FFFD FFFD),
    ROW("\xe0\x9f\xbf", false, FFFD FFFD FFFD),
    ROW("\xed\xa0\x80", false, FFFD FFFD FFFD),
    ROW("\xf0\x8f\xbf\xbf", false, FFFD FFFD FFFD FFFD),
    ROW("\xf4\x90\x80\x80", false, FFFD FFFD FFFD FFFD),
    ROW("\xf5\x80\x80\x80", false, FFFD FFFD FFFD FFFD),
    ROW("\xff", false, FFFD),
    /* cut off, and followed by something else */
    ROW("a\xc3", false, "a" FFFD),
    ROW("a\xe2\x82", false, "a" FFFD FFFD),
    ROW("\xf0\x9f\x98", false, FFFD FFFD FFFD),
    ROW("\xc3(b", false, FFFD "(b"),
    ROW("\xe2\x82(b", false, FFFD FFFD "(b"),
};
enum { ROWS = sizeof rows / sizeof rows[0] };

Test(utf8, accepts_what_rfc_3629_defines)
{
    for (int i = 0; i < ROWS; i++)
        cr_expect_eq(utf8_is_valid(rows[i].text, rows[i].size), rows[i].valid, "row %d", i);
    cr_expect(utf8_is_valid("a\0b", 3));
    /* bytes beyond the size do not complete a code point */
    cr_expect_not(utf8_is_valid("\xc3\xa4", 1));
    cr_expect_not(utf8_is_valid("\xf0\x9f\x98\x80", 3));
}

/* The shortcut for eight bytes of ASCII must neither skip a bad byte nor lose its place. */
Test(utf8, finds_bad_bytes_at_each_offset)
{
    char text[64];
    for (int i = 0; i < ROWS; i++) {
        for (size_t before = 0; before < 20; before++) {
            for (size_t after = 0; after < 20; after++) {
                memset(text, 'x', sizeof text);
                memcpy(text + before, rows[i].text, rows[i].size);
                size_t size = before + rows[i].size + after;
                cr_assert_eq(utf8_is_valid(text, size), rows[i].valid, "row %d, %zu before, %zu after", i,
                             before, after);
            }
        }
    }
}

Test(utf8, replaces_invalid_bytes)
{
    char out[64];
    for (int i = 0; i < ROWS; i++) {
        size_t n = utf8_sanitize(out, rows[i].text, rows[i].size, true);
        cr_expect_eq(n, strlen(rows[i].clean), "row %d: %zu bytes", i, n);
        cr_expect_eq(memcmp(out, rows[i].clean, n), 0, "row %d", i);
        cr_expect(utf8_is_valid(out, n), "row %d", i);
    }
    cr_expect_eq(utf8_sanitize(out, "a\0b", 3, true), 3);
    cr_expect_eq(memcmp(out, "a\0b", 3), 0);
    cr_expect_eq(utf8_sanitize(out, "a\0b", 3, false), 5);
    cr_expect_eq(memcmp(out, "a" FFFD "b", 5), 0);
}

Test(utf8, cuts_between_code_points)
{
    static const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"; /* 1, 2, 3 and 4 bytes */
    static const size_t cuts[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
    for (size_t max = 0; max < sizeof cuts / sizeof cuts[0]; max++)
        cr_expect_eq(utf8_cut(text, sizeof text - 1, max), cuts[max], "at most %zu", max);
    cr_expect_eq(utf8_cut("\x80\x80\x80", 3, 2), 0);
    cr_expect_eq(utf8_cut("", 0, 0), 0);
}

Test(utf8, counts_code_points)
{
    cr_expect_eq(utf8_count("", 0), 0);
    cr_expect_eq(utf8_count("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 10), 4);
    cr_expect_eq(utf8_count("a\0b", 3), 3);
}
