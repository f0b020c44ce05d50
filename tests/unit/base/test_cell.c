#include <criterion/criterion.h>
#include <string.h>

#include "base/cell.h"

#define RANDOM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJK_-9012" /* 43 characters */

Test(cell, a_name_is_two_lower_case_letters_or_digits)
{
    static const char *const good[] = {"c7", "00", "zz"}, *const bad[] = {"",   "c",  "c77", "C7",
                                                                          "c_", "c-", " c"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect(cell_is_name(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(cell_is_name(bad[i]), "%s", bad[i]);
}

Test(cell, a_made_secret_names_its_cell)
{
    char text[8 + SECRET_TEXT_SIZE], again[sizeof text], cell[CELL_NAME_SIZE];
    cr_assert_eq(cell_make_secret("sk_live_", "c7", text, sizeof text), OK);
    cr_assert_eq(cell_make_secret("sk_live_", "c7", again, sizeof again), OK);
    cr_expect_str_neq(text, again);
    cr_expect_eq(strlen(text), sizeof text - 1);
    cr_expect(cell_of_secret("sk_live_", text, cell));
    cr_expect_str_eq(cell, "c7");
    cr_assert_eq(cell_make_secret("", "", text, sizeof text), OK);
    cr_expect_eq(strlen(text), SECRET_RANDOM_LENGTH);
    cr_expect_not(cell_of_secret("", text, cell));
}

Test(cell, a_secret_that_does_not_fit_is_an_error)
{
    char text[SECRET_TEXT_SIZE - 1];
    cr_expect_eq(cell_make_secret("", "c7", text, sizeof text), ERR_INTERNAL);
}

Test(cell, is_recognized_by_form_and_length)
{
    static const char *const none[] = {
        "",
        "sk_live_",
        "sk_live_c7_",
        "sk_live_" RANDOM,
        /* the random characters of a key without a cell begin like a cell */
        "sk_live_c7_"
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJK_-9",
        "sk_live_c7_" RANDOM "x",
        "sk_live_C7_" RANDOM,
        "sk_live_c77_" RANDOM,
        "sk_live_c7-" RANDOM,
        " sk_live_c7_" RANDOM,
        "sk_live_c7_" RANDOM " ",
        "op_live_c7_" RANDOM,
        "c7_" RANDOM,
        "sk_live_c7_abcdefghijklmnopqrstuvwxyzABCDEFGHIJK_-901=",
    };
    char cell[CELL_NAME_SIZE];
    cr_assert_eq(strlen(RANDOM), SECRET_RANDOM_LENGTH);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        cr_expect_not(cell_of_secret("sk_live_", none[i], cell), "%s", none[i]);
    cr_expect(cell_of_secret("sk_live_", "sk_live_c7_" RANDOM, cell));
    cr_expect(cell_of_secret("", "c7_" RANDOM, cell));
}

Test(cell, is_foreign_if_it_names_another_cell)
{
    char cell[CELL_NAME_SIZE];
    cr_expect(cell_is_foreign("", "", "c7_" RANDOM, cell));
    cr_expect(cell_is_foreign("a1", "", "c7_" RANDOM, cell));
    cr_expect_str_eq(cell, "c7");
    cr_expect_not(cell_is_foreign("c7", "", "c7_" RANDOM, cell));
    cr_expect_not(cell_is_foreign("c7", "", RANDOM, cell), "a secret without a cell may be anybody's");
}
