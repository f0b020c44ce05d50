#include <criterion/criterion.h>
#include <talloc.h>

#include "core/json.h"

Test(pointer, finds_what_rfc_6901_says)
{
    static const char doc[] = "{\"a\":[1,{\"\":2,\"x/y\":3,\"m~n\":4}],\"n\":null}";
    static const struct {
        const char *pointer, *text; /* text NULL: finds nothing */
    } cases[] = {
        {"/a/0", "1"},     {"/a/1/", "2"}, {"/a/1/x~1y", "3"}, {"/a/1/m~0n", "4"},
        {"/n", "null"},    {"/", NULL},    {"/a/", NULL},      {"/a/2", NULL},
        {"/a/00", NULL},   {"/a/-", NULL}, {"/b", NULL},       {"a", NULL},
        {"/a/1/m~", NULL}, {"/n/x", NULL}, {"/a/0/", NULL},    {"/a/-1", NULL},
    };
    void *ctx = talloc_new(NULL);
    json_object *root;
    const char *why;
    cr_assert_eq(json_parse(ctx, doc, sizeof doc - 1, 32, &root, &why), OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool found;
        json_object *value = json_at(root, cases[i].pointer, &found);
        cr_expect_eq(found, cases[i].text != NULL, "%s", cases[i].pointer);
        if (found && cases[i].text)
            cr_expect_str_eq(json_text(value, NULL), cases[i].text, "%s", cases[i].pointer);
    }
    talloc_free(ctx);
}
