#include <criterion/criterion.h>
#include <string.h>

#include "redis/log_stream.h"

static bool parse(const char *text, struct log_position *position)
{
    return log_position_parse(text, strlen(text), position);
}

Test(log_stream, positions)
{
    struct log_position p, q;
    char text[LOG_POSITION_SIZE];
    cr_assert(parse("1764250000000-7", &p));
    cr_assert(p.ms == 1764250000000 && p.seq == 7);
    cr_assert_str_eq(log_position_text(p, text), "1764250000000-7");
    cr_assert(parse("18446744073709551615-18446744073709551615", &q));
    cr_assert_str_eq(log_position_text(q, text), "18446744073709551615-18446744073709551615");
    cr_assert(log_position_compare(p, q) < 0 && log_position_compare(q, p) > 0 &&
              log_position_compare(p, p) == 0);
    cr_assert(parse("1764250000000-10", &q));
    cr_assert(log_position_compare(p, q) < 0);
    static const char *const wrong[] = {"",
                                        "-",
                                        "1",
                                        "1-",
                                        "-1",
                                        "1-2-3",
                                        " 1-2",
                                        "1-2 ",
                                        "+1-2",
                                        "a-1",
                                        "18446744073709551616-0",
                                        "1-99999999999999999999999999999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect(!parse(wrong[i], &p), "%s", wrong[i]);
}
