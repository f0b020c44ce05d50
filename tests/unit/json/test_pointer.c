#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "json/json.h"

Test(pointer, follows_rfc_6901)
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
        json_object *value = json_find(root, cases[i].pointer, &found);
        cr_expect_eq(found, cases[i].text != NULL, "%s", cases[i].pointer);
        if (found && cases[i].text)
            cr_expect_str_eq(json_text(value, NULL), cases[i].text, "%s", cases[i].pointer);
    }
    talloc_free(ctx);
}

Test(pointer, bare_values_are_json_texts)
{
    static const struct {
        const char *text;
        enum err e;
    } cases[] = {{"12", OK},           {"null", OK},
                 {"true", OK},         {" -1.5e3 ", OK},
                 {"\"a\"", OK},        {"12 3", ERR_INVALID},
                 {"1x", ERR_INVALID},  {"nul", ERR_INVALID},
                 {"", ERR_INVALID},    {"true false", ERR_INVALID},
                 {"12,", ERR_INVALID}, {"-", ERR_INVALID}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *ctx = talloc_new(NULL);
        json_object *value;
        const char *why;
        cr_expect_eq(json_parse(ctx, cases[i].text, strlen(cases[i].text), 32, &value, &why), cases[i].e,
                     "<%s>", cases[i].text);
        talloc_free(ctx);
    }
}

Test(pointer, long_names_are_left_out)
{
    void *ctx = talloc_new(NULL);
    char *name = talloc_array(ctx, char, 600);
    memset(name, 'n', 599);
    name[599] = '\0';
    cr_expect_str_eq(json_pointer_join(ctx, "/a", name), "/a");
    name[400] = '\0';
    cr_expect_eq(strlen(json_pointer_join(ctx, "/a", name)), 403);
    talloc_free(ctx);
}
