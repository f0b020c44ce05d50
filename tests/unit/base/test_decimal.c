#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/decimal.h"

static void expect_as_printf(int64_t number)
{
    char expected[32], text[DECIMAL_SIZE];
    int n = snprintf(expected, sizeof expected, "%" PRId64, number);
    cr_expect_eq(decimal_text(number, text), (size_t)n, "%s", expected);
    cr_expect_str_eq(text, expected);
}

Test(decimal, writes_numbers_as_printf_does)
{
    expect_as_printf(0);
    expect_as_printf(INT64_MIN);
    expect_as_printf(INT64_MAX);
    for (int64_t power = 1; power < INT64_MAX / 10; power *= 10) {
        expect_as_printf(power);
        expect_as_printf(power - 1);
        expect_as_printf(-power);
    }
}
