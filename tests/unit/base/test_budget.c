#include <criterion/criterion.h>
#include <stdint.h>

#include "base/budget.h"

Test(budget, fits_until_the_limit_is_reached)
{
    struct budget b = {.limit = 10};
    cr_expect(budget_charge(&b, 4));
    cr_expect(budget_charge(&b, 6));
    cr_expect_eq(b.used, 10);
    cr_expect_not(budget_is_exceeded(&b));
    cr_expect(budget_charge(&b, 0));
    cr_expect_not(budget_charge(&b, 1));
    cr_expect(budget_is_exceeded(&b));
}

/* A charge that does not fit is refused as a whole, and everything after it. */
Test(budget, refuses_everything_once_it_is_exceeded)
{
    struct budget b = {.limit = 10};
    cr_expect_not(budget_charge(&b, 11));
    cr_expect_eq(b.used, 0);
    cr_expect_not(budget_charge(&b, 1));
    cr_expect_not(budget_charge_bytes(&b, 0));
    cr_expect_eq(b.used, 0);
}

Test(budget, does_not_overflow)
{
    struct budget b = {.limit = 10, .used = 3};
    cr_expect_not(budget_charge(&b, SIZE_MAX));
    struct budget large = {.limit = SIZE_MAX};
    cr_expect(budget_charge_bytes(&large, SIZE_MAX));
    cr_expect(budget_charge_scan(&large, SIZE_MAX));
    cr_expect_not(budget_is_exceeded(&large));
}

Test(budget, counts_a_node_and_its_bytes)
{
    static const struct {
        size_t size, compared, scanned;
    } rows[] = {{0, 1, 1}, {7, 1, 1}, {8, 1, 2}, {63, 1, 8}, {64, 2, 9}, {6400, 101, 801}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct budget b = {.limit = BUDGET_EVALUATION};
        cr_expect(budget_charge_bytes(&b, rows[i].size));
        cr_expect_eq(b.used, rows[i].compared, "%zu", rows[i].size);
        b.used = 0;
        cr_expect(budget_charge_scan(&b, rows[i].size));
        cr_expect_eq(b.used, rows[i].scanned, "%zu", rows[i].size);
    }
}

Test(budget, null_has_no_limit)
{
    cr_expect(budget_charge(NULL, SIZE_MAX));
    cr_expect(budget_charge_bytes(NULL, SIZE_MAX));
    cr_expect_not(budget_is_exceeded(NULL));
}

Test(budget, the_sentence_names_the_limit)
{
    char text[BUDGET_SENTENCE_SIZE];
    struct budget b = {.limit = BUDGET_EVALUATION};
    cr_expect_str_eq(budget_sentence(&b, text), "the evaluation exceeds the limit of 1000000 units of work");
}
