#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>
#include <talloc.h>

#include "base/csv.h"

static void check(const char *text, const char *expected)
{
    char *csv = csv_append_text(talloc_strdup(NULL, "x,"), text, strlen(text));
    cr_assert_str_eq(csv + 2, expected, "%s became %s", text, csv + 2);
    talloc_free(csv);
}

Test(csv, quotes_only_where_rfc_4180_needs_it)
{
    check("plain", "plain");
    check("", "\"\"");
    check("a \"b\", c", "\"a \"\"b\"\", c\"");
    check("\"", "\"\"\"\"");
    check("two\nlines", "\"two\nlines\"");
    check("M\xC3\xBCller; 100 %", "M\xC3\xBCller; 100 %");
}

Test(csv, a_formula_gets_an_apostrophe)
{
    check("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\"");
    check("=1+1", "'=1+1");
    check("+1", "'+1");
    check("-1", "'-1");
    check("@SUM(A1)", "'@SUM(A1)");
    check("  =1", "'  =1");
    check("\t=1", "'\t=1");
    check("\r=1", "\"'\r=1\"");
    check("\xEF\xBC\x9D"
          "1+1",
          "'\xEF\xBC\x9D"
          "1+1");
    check("a=1", "a=1");
    check("1-1", "1-1");
}
