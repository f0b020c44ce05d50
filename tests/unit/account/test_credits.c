#include <criterion/criterion.h>
#include <inttypes.h>

#include "account/credits.h"
#include "json/json.h"

Test(credits, parses_user_input)
{
    static const struct {
        const char *text;
        int64_t micro;
    } good[] = {{"0", 0},
                {"1", 1000000},
                {"12.5", 12500000},
                {"-3.000001", -3000001},
                {"0.000001", 1},
                {"1000000", 1000000000000},
                {"007.10", 7100000},
                {"9223372036854.775807", INT64_MAX}};
    static const char *const bad[] = {"",          "-",
                                      ".5",        "5.",
                                      "1.0000001", "1e3",
                                      "+1",        " 1",
                                      "1 ",        "0x1",
                                      "1.2.3",     "--1",
                                      "1,5",       "9223372036854.775808",
                                      "nan",       "99999999999999999999"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t micro = 42;
        cr_expect(credits_parse(good[i].text, &micro), "%s", good[i].text);
        cr_expect_eq(micro, good[i].micro, "%s is %" PRId64, good[i].text, micro);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t micro;
        cr_expect(!credits_parse(bad[i], &micro), "%s", bad[i]);
    }
}

Test(credits, formats_without_trailing_zeros)
{
    static const struct {
        int64_t micro;
        const char *text;
    } cases[] = {{0, "0"},           {1000000, "1"},
                 {12500000, "12.5"}, {-3000001, "-3.000001"},
                 {-500000, "-0.5"},  {INT64_MIN, "-9223372036854.775808"},
                 {100000000, "100"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[CREDITS_TEXT_SIZE];
        cr_expect_str_eq(credits_text(cases[i].micro, text), cases[i].text);
        json_object *o = credits_json(cases[i].micro);
        cr_expect_str_eq(json_text(o, NULL), cases[i].text);
        json_object_put(o);
    }
}

Test(credits, parses_json_numbers)
{
    static const struct {
        const char *text;
        int64_t micro;
    } good[] = {{"0", 0},
                {"1e-06", 1},
                {"0.000001", 1},
                {"1E-6", 1},
                {"12.5", 12500000},
                {"-3.000001", -3000001},
                {"10.0000000000000000000000", 10000000},
                {"1.5e3", 1500000000},
                {"1000000e-6", 1000000},
                {"100.00e-8", 1},
                {"9223372036854.775807", INT64_MAX},
                {"-9223372036854.775808", INT64_MIN},
                {"0e999", 0}};
    static const char *const bad[] = {"0.0000001",
                                      "1e-7",
                                      "9223372036854.775808",
                                      "1e13",
                                      "1e999",
                                      "1e99999999999999999999",
                                      "1x",
                                      "1.2.3",
                                      "1e",
                                      "15e-7",
                                      "99999999999999999999999"};
    int64_t micro;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_expect(credits_parse_json(good[i].text, &micro), "%s", good[i].text);
        cr_expect_eq(micro, good[i].micro, "%s: %" PRId64, good[i].text, micro);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(credits_parse_json(bad[i], &micro), "%s", bad[i]);
}
