#include <criterion/criterion.h>
#include <stdio.h>
#include <talloc.h>

#include "fcgi/forms/answer_form.h"

static json_object *parse(void *ctx, const char *text)
{
    json_object *value = NULL;
    const char *why;
    if (text)
        cr_assert_eq(json_parse(ctx, text, strlen(text), JSON_DEPTH_MAX, &value, &why), OK, "%s", text);
    return value;
}

/* A schema or choices, what is sent as NAME=VALUE, and the data as JSON; NULL: refused. */
static void expect_data(const char *schema, const char *choices, const char *fields, const char *data)
{
    void *ctx = talloc_new(NULL);
    struct query_item items[8];
    size_t n = 0;
    char *copy = talloc_strdup(ctx, fields);
    for (char *p = strtok(copy, "&"); p; p = strtok(NULL, "&")) {
        char *value = strchr(p, '=');
        *value = '\0';
        items[n++] = (struct query_item){p, value + 1};
    }
    struct json_problems *problems = json_problems_new(ctx);
    struct answer_form *form = answer_form_new(ctx, parse(ctx, schema), parse(ctx, choices));
    json_object *read;
    bool ok = answer_form_read(ctx, form, items, n, &read, problems);
    cr_expect_eq(ok, data != NULL, "%s %s", schema ? schema : choices, fields);
    cr_expect_eq(problems->total > 0, data == NULL);
    if (ok && data)
        cr_expect_str_eq(json_text(read, NULL), data, "%s: %s", fields, json_text(read, NULL));
    talloc_free(ctx);
}

Test(answer_form, offers_its_choices_only)
{
    static const char choices[] =
        "[{\"label\":\"a\",\"data\":{\"x\":1,\"y\":null}},{\"label\":\"b\",\"data\":null}]";
    static const struct {
        const char *data;
        bool ok;
    } cases[] = {{"{\"y\":null,\"x\":1.0}", true}, {"null", true}, {"{\"x\":1}", false},
                 {"{\"x\":2,\"y\":null}", false},  {"1", false},   {"{\"x\":1,\"y\":null,\"z\":1}", false}};
    void *ctx = talloc_new(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_problems *problems = json_problems_new(ctx), *none = json_problems_new(ctx);
        json_object *data = parse(ctx, cases[i].data);
        cr_expect_eq(answer_form_offers(answer_form_new(ctx, NULL, parse(ctx, choices)), data, problems),
                     cases[i].ok, "%s", cases[i].data);
        cr_expect_eq(problems->total, !cases[i].ok, "%s", cases[i].data);
        cr_expect(answer_form_offers(answer_form_new(ctx, NULL, NULL), data, none), "%s", cases[i].data);
    }
    talloc_free(ctx);
}

Test(answer_form, reads_an_object_by_its_properties)
{
    static const char schema[] =
        "{\"type\":\"object\",\"required\":[\"s\",\"b\"],\"properties\":{\"s\":{\"type\":\"string\"},"
        "\"b\":{\"type\":\"boolean\"},\"i\":{\"type\":\"integer\"},\"n\":{\"type\":\"number\"},"
        "\"e\":{\"enum\":[\"1\",1,null,\"\"]},\"t\":{\"type\":\"string\"}}}";
    expect_data(schema, NULL, "s=a\r\nb&b=true", "{\"s\":\"a\\nb\",\"b\":true}");
    expect_data(schema, NULL, "s=&b=false&i=&n=&e=&t=", "{\"s\":\"\",\"b\":false}");
    expect_data(schema, NULL, "s=x&b=false&i=-7&n=1.50&e=null&other=1",
                "{\"s\":\"x\",\"b\":false,\"i\":-7,\"n\":1.50,\"e\":null}");
    expect_data(schema, NULL, "s=x&b=true&e=1", "{\"s\":\"x\",\"b\":true,\"e\":\"1\"}");
    expect_data(schema, NULL, "s=x", NULL);
    expect_data(schema, NULL, "b=true", NULL);
    expect_data(schema, NULL, "s=x&b=yes", NULL);
    expect_data(schema, NULL, "s=x&b=true&i=1.5", NULL);
    expect_data(schema, NULL, "s=x&b=true&i=1e2", NULL);
    expect_data(schema, NULL, "s=x&b=true&i=99999999999999999999", NULL);
    expect_data(schema, NULL, "s=x&b=true&n=\"1\"", NULL);
    expect_data(schema, NULL, "s=x&b=true&n=NaN", NULL);
    expect_data(schema, NULL, "s=x&b=true&e=2", NULL);
}

Test(answer_form, reads_one_value)
{
    expect_data("{\"type\":\"string\"}", NULL, "data=x", "\"x\"");
    expect_data("{\"type\":\"string\"}", NULL, "", NULL);
    expect_data("{\"enum\":[true,false]}", NULL, "data=false", "false");
    expect_data("{\"enum\":[\"\"]}", NULL, "data=", "\"\"");
    expect_data("{\"type\":\"integer\"}", NULL, "data= 3 ", "3");
}

Test(answer_form, reads_json_where_fields_do_not_do)
{
    static const char *const schemas[] = {
        NULL,
        "true",
        "{}",
        "{\"type\":[\"string\",\"null\"]}",
        "{\"type\":\"array\"}",
        "{\"enum\":[[]]}",
        "{\"type\":\"object\"}",
        "{\"type\":\"object\",\"properties\":{}}",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\"}}}",
        "{\"type\":\"object\",\"required\":[\"b\"],\"properties\":{\"a\":{\"type\":\"string\"}}}",
        "{\"type\":\"object\",\"properties\":{\"a\":true}}",
        "{\"$ref\":\"#/x\"}"};
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        expect_data(schemas[i], NULL, "data={\"a\":[1]}", "{\"a\":[1]}");
        expect_data(schemas[i], NULL, "data=", "null");
        expect_data(schemas[i], NULL, "data={", NULL);
    }
}

Test(answer_form, has_at_most_so_many_fields)
{
    for (int n = ANSWER_FIELDS_MAX; n <= ANSWER_FIELDS_MAX + 1; n++) {
        void *ctx = talloc_new(NULL);
        char *text = talloc_strdup(ctx, "{\"type\":\"object\",\"properties\":{");
        for (int i = 0; i < n; i++)
            text = talloc_asprintf_append(text, "%s\"f%d\":{\"type\":\"string\"}", i ? "," : "", i);
        text = talloc_asprintf_append(text, "}}");
        struct answer_form *form = answer_form_new(ctx, parse(ctx, text), NULL);
        cr_expect_eq(form->is_object, n <= ANSWER_FIELDS_MAX);
        cr_expect_eq(form->fields_n, n <= ANSWER_FIELDS_MAX ? ANSWER_FIELDS_MAX : 1);
        talloc_free(ctx);
    }
}

Test(answer_form, reads_a_choice_by_its_number)
{
    static const char choices[] =
        "[{\"label\":\"Yes\",\"data\":{\"ok\":true}},{\"label\":\"Nothing\",\"data\":null}]";
    expect_data(NULL, choices, "choice=0", "{\"ok\":true}");
    expect_data(NULL, choices, "choice=1", "null");
    expect_data(NULL, choices, "choice=2", NULL);
    expect_data(NULL, choices, "choice=00", NULL);
    expect_data(NULL, choices, "choice=Yes", NULL);
    expect_data(NULL, choices, "data={}", NULL);
}
