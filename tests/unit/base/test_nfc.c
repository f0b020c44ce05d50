#include <criterion/criterion.h>
#include <talloc.h>

#include "base/nfc.h"

Test(nfc, both_spellings_become_one)
{
    static const struct {
        const char *text, *normal;
    } rows[] = {
        {"", ""},
        {"a.txt", "a.txt"},
        {"e\u0301.txt", "\u00e9.txt"},
        {"\u00e9.txt", "\u00e9.txt"},
        {"\u212b", "\u00c5"},
        {"q\u0307\u0323", "q\u0323\u0307"},
        {"\u1112\u1161\u11ab", "\ud55c"},
        {"\U0001d160", "\U0001d158\U0001d165\U0001d16e"}, /* longer in form C */
        {"\u0344", "\u0308\u0301"},
        {"\U0001f600", "\U0001f600"},
    };
    void *ctx = talloc_new(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_str_eq(nfc_text(ctx, rows[i].text), rows[i].normal);
    talloc_free(ctx);
}
