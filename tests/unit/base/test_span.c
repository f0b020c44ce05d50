#include <criterion/criterion.h>

#include "base/span.h"

Test(span, distinguishes_absent_from_empty)
{
    struct span absent = span_text(NULL);
    struct span empty = span_text("");
    cr_expect_null(absent.at);
    cr_expect_eq(absent.size, 0);
    cr_expect_not_null(empty.at);
    cr_expect_eq(empty.size, 0);
}

Test(span, borrows_the_text)
{
    static const char text[] = "a\xc3\xa4";
    struct span s = span_text(text);
    cr_expect_eq(s.at, text);
    cr_expect_eq(s.size, 3);
}
