#include <criterion/criterion.h>
#include <string.h>

#include "store/model.h"

Test(model, formats_dollars)
{
    char out[USD_TEXT_SIZE];
    cr_expect_str_eq(usd_text(0, out), "0");
    cr_expect_str_eq(usd_text(1, out), "0.000000000001");
    cr_expect_str_eq(usd_text(1500000000000, out), "1.5");
    cr_expect_str_eq(usd_text(INT64_MAX, out), "9223372.036854775807");
    struct model m = {.input_price = 2500000, .output_price = 10000000};
    cr_expect_eq(model_cost(&m, 1000000, 0), 2500000000000);
    cr_expect_eq(model_cost(&m, INT64_MAX, 1), INT64_MAX);
}

Test(model, aliases)
{
    char longest[MODEL_ALIAS_MAX + 2];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    cr_expect_not(model_alias_fits(longest));
    longest[MODEL_ALIAS_MAX] = '\0';
    cr_expect(model_alias_fits(longest));
    cr_expect(model_alias_fits("org/model-1.5:free_X"));
    cr_expect_not(model_alias_fits(""));
    cr_expect_not(model_alias_fits("a b"));
    cr_expect_not(model_alias_fits("caf\xc3\xa9"));
}

Test(model, urls)
{
    static const char *const good[] = {"http://127.0.0.1:8000/v1", "https://models.example",
                                       "http://[::1]/v1"};
    static const char *const bad[] = {
        "",        "ftp://a/v1",    "http://",         "https:///v1",     "http://:80/v1",
        "//a/v1",  "http://u@a/v1", "http://a/v1?q=1", "http://a/v1#top", "http://a/v 1",
        "http:/a", "http://a/\x7f", "http://a\\b/v1",  "http://a/\x01",   "HTTP://a/v1",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect(model_url_fits(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(model_url_fits(bad[i]), "%s", bad[i]);
}
