#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "base/field.h"

Test(field, a_list_is_split_at_commas_outside_quotes)
{
    static const struct {
        const char *list, *joined;
    } rows[] = {
        {"", ""},
        {" , ,\t,", ""},
        {"a", "a|"},
        {"a, b ,c", "a|b|c|"},
        {"foo=\"a, wait=9, b\", wait=3", "foo=\"a, wait=9, b\"|wait=3|"},
        {"\"a\\\", b\", c", "\"a\\\", b\"|c|"},
        {"\"never closed, b", "\"never closed, b|"},
        {"W/\"x,y\",\"z\"", "W/\"x,y\"|\"z\"|"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *joined = talloc_strdup(NULL, "");
        struct span item;
        for (const char *p = rows[i].list; (p = field_next_item(p, &item));)
            joined = talloc_asprintf_append(joined, "%.*s|", (int)item.size, item.at);
        cr_expect_str_eq(joined, rows[i].joined);
        talloc_free(joined);
    }
}

Test(field, parameters_are_unquoted)
{
    static const char text[] = "form-data ;name = \"a;b\\\"c\\\\d\\e\"; x=y;flag;q=\"open";
    static const struct {
        const char *name, *value;
    } want[] = {{"form-data", NULL}, {"name", "a;b\"c\\d\\e"}, {"x", "y"}, {"flag", NULL}};
    void *ctx = talloc_new(NULL);
    struct span rest = {text, strlen(text)};
    char *name, *value;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        cr_assert(field_next_parameter(ctx, &rest, &name, &value));
        cr_expect_str_eq(name, want[i].name);
        cr_expect(want[i].value ? value && strcmp(value, want[i].value) == 0 : !value, "%s", want[i].name);
    }
    cr_expect_not(field_next_parameter(ctx, &rest, &name, &value), "an open quoted string is malformed");
    talloc_free(ctx);
}

Test(field, the_most_specific_media_range_decides)
{
    static const struct {
        const char *list;
        int weight, specificity;
    } rows[] = {
        {"text/csv", 1000, 3},
        {"text/csv;q=0", 0, 3},
        {"*/*;q=0.8, text/csv;q=0", 0, 3},
        {"text/csv;q=0.25, text/*;q=0.9, */*", 250, 3},
        {"TEXT/CSV ; Q=1.000", 1000, 3},
        {"text/*;q=.5", 0, 2},
        {"text/csv;q=1.5", 0, 3},
        {"text/csv;q=0.1234", 0, 3},
        {"text/csv2, xtext/csv, text", 0, 0},
        {"application/json; profile=\"a, text/csv\"", 0, 0},
        {"*/csv", 0, 0},
        {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct field_match m = field_match_media(NULL, rows[i].list, "text", "csv");
        cr_expect(m.weight == rows[i].weight && m.specificity == rows[i].specificity, "%s: %d %d",
                  rows[i].list, m.weight, m.specificity);
    }
}
