#include <criterion/criterion.h>

#include "executor/io/retry_after.h"

Test(retry_after, the_latest_time_counts)
{
    enum { NOW_S = 784111777 };
    static const struct {
        const char *field;
        int64_t ms;
    } rows[] = {
        {"", 0},
        {"0", 0},
        {"5", 5000},
        {" 5 ", 5000},
        {"1.5", 2000},
        {"1.0", 1000},
        {"0.001", 1000},
        {"1.", 0},
        {".5", 0},
        {"86400", 86400000},
        {"99999999999999999999999", RETRY_AFTER_MAX_MS},
        {"604800.5", RETRY_AFTER_MAX_MS},
        {"1, 7", 7000},
        {"7, 1", 7000},
        {"-1", 0},
        {"soon", 0},
        {"soon, 3", 3000},
        {"Sun, 06 Nov 1994 08:49:47 GMT", 10000},
        {"Sun, 06 Nov 1994 08:49:47 GMT, 3", 10000},
        {"30, Sun, 06 Nov 1994 08:49:47 GMT", 30000},
        {"Sun Nov  6 08:49:47 1994", 10000},
        {"Sun, 06 Nov 1994 08:49:27 GMT", 0},
        {"Mon, 30 Feb 1995 08:49:27 GMT", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(retry_after_parse(rows[i].field, INT64_C(1000) * NOW_S), rows[i].ms, "%s",
                     rows[i].field);
}
