#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "workflow/program_eval.h"
#include "json/json.h"

Test(program_eval, backoff_doubles_and_stays_within_an_hour)
{
    struct program_step s = {.backoff_ms = 2000};
    int64_t expected_ms = 2000;
    for (int attempt = 1; attempt <= 9; attempt++, expected_ms *= 2) {
        for (int i = 0; i < 100; i++) {
            int64_t ms = program_backoff_ms(&s, attempt);
            cr_assert(ms >= expected_ms * 8 / 10 && ms <= expected_ms * 12 / 10, "attempt %d: %lld ms",
                      attempt, (long long)ms);
        }
    }
    s.backoff_ms = 3600000;
    cr_expect_eq(program_backoff_ms(&s, 9), 3600000);
    s.backoff_ms = 0;
    cr_expect_eq(program_backoff_ms(&s, 9), 0);
}
