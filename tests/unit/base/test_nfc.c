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

Test(nfc, form_d_takes_characters_apart)
{
    static const struct {
        const char *text, *apart;
    } rows[] = {
        {"a.txt", "a.txt"},
        {"\u00e9.txt", "e\u0301.txt"},
        {"e\u0301.txt", "e\u0301.txt"},
        {"\u0390", "\u03b9\u0308\u0301"},       /* the longest in UTF-8 */
        {"\u1f82", "\u03b1\u0313\u0300\u0345"}, /* the longest in UTF-16 */
        {"\ud55c", "\u1112\u1161\u11ab"},
    };
    void *ctx = talloc_new(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_str_eq(nfd_text(ctx, rows[i].text), rows[i].apart);
    talloc_free(ctx);
}
