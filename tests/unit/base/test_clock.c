#include <criterion/criterion.h>

#include "base/clock.h"

Test(clock, formats_both_styles)
{
    char out[CLOCK_TEXT_SIZE];
    cr_assert_str_eq(clock_text_offset(1768473000123, out), "2026-01-15T10:30:00.123+00:00");
    cr_assert_str_eq(clock_text_z(1768473000000, out), "2026-01-15T10:30:00.000Z");
}

Test(clock, parses_client_formats)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"2026-01-15T10:30:00Z", 1768473000000},
        {"2026-01-15T10:30:00.123Z", 1768473000123},
        {"2026-01-15T10:30:00.123456Z", 1768473000123},
        {"2026-01-15T12:30:00+02:00", 1768473000000},
        {"2026-01-15T08:00:00-02:30", 1768473000000},
        {"2026-01-15T10:30:00.000 00:00", 1768473000000}, /* an unencoded '+' of a query */
        {"2026-01-15", 1768435200000},
        {"2026-01-15T10:30:00", -1},
        {"2026-13-15", -1},
        {"yesterday", -1},
        {"", -1},
        {"2026-01-15T10:30:00Zx", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(clock_parse(cases[i].text), cases[i].ms, "%s", cases[i].text);
}
