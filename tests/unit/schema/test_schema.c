#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "schema/schema.h"

static json_object *parse_json(void *ctx, const char *text)
{
    json_object *value;
    const char *why;
    cr_assert_eq(json_parse(ctx, text, strlen(text), 128, &value, &why), OK, "%s", text);
    return value;
}

static struct schema *compile_schema(void *ctx, const char *text, const struct schema_options *opt)
{
    struct schema *schema;
    struct schema_problems problems;
    enum err e = schema_compile(ctx, parse_json(ctx, text), opt, &schema, &problems);
    cr_assert_eq(e, OK, "%s: %s", text, problems.count ? problems.items[0].message : err_name(e));
    return schema;
}

struct expected {
    const char *schema, *instance, *pointer, *message; /* pointer NULL: valid */
};

static void expect_first_problem(const struct expected *c, const struct schema_options *opt)
{
    void *ctx = talloc_new(NULL);
    struct schema_problems problems;
    enum err e =
        schema_validate(ctx, compile_schema(ctx, c->schema, opt), parse_json(ctx, c->instance), &problems);
    cr_expect_eq(e, c->pointer ? ERR_INVALID : OK, "%s of %s: %s", c->instance, c->schema, err_name(e));
    if (c->pointer && problems.count > 0) {
        cr_expect_str_eq(problems.items[0].pointer, c->pointer);
        cr_expect_str_eq(problems.items[0].message, c->message);
    }
    talloc_free(ctx);
}

Test(schema, reports_pointer_and_message)
{
    static const struct expected cases[] = {
        {"{\"type\":[\"string\",\"null\"]}", "1", "", "must be a string or null"},
        {"{\"minimum\":3}", "2.5", "", "must be at least 3"},
        {"{\"multipleOf\":0.1}", "0.3", NULL, NULL},
        {"{\"multipleOf\":0.1}", "0.35", "", "must be a multiple of 0.1"},
        {"{\"required\":[\"email\"]}", "{}", "", "lacks a required member: \"email\""},
        {"{\"additionalProperties\":false}", "{\"x\":1}", "", "has an unknown member: \"x\""},
        {"{\"properties\":{\"a/b\":{\"items\":{\"maxLength\":1}}}}", "{\"a/b\":[\"x\",\"\\u00e9\\u00e9\"]}",
         "/a~1b/1", "must be at most 1 character long, not 2"},
        {"{\"enum\":[1,\"a\"]}", "2", "", "must be one of [1,\"a\"]"},
        {"{\"uniqueItems\":true}", "[1,{\"a\":1,\"b\":2},{\"b\":2.0,\"a\":1}]", "",
         "must not have equal items, but items 1 and 2 are equal"},
        {"{\"propertyNames\":{\"maxLength\":1}}", "{\"ab\":1}", "",
         "has a member with an invalid name: \"ab\" must be at most 1 character long, not 2"},
        {"{\"anyOf\":[{\"type\":\"string\"},{\"properties\":{\"n\":{\"minimum\":3}},\"type\":\"object\"}]}",
         "{\"n\":1}", "",
         "must match at least one of 2 alternatives: it must be a string; or it /n must be at least 3"},
        {"{\"oneOf\":[{\"minimum\":1},{\"minimum\":2}]}", "3", "",
         "must match exactly one of 2 alternatives, but matches number 1 and number 2"},
        {"{\"unevaluatedItems\":false,\"prefixItems\":[true]}", "[1,2]", "/1", "is not allowed"},
        {"{\"maximum\":9007199254740992}", "9007199254740993", "", "must be at most 9007199254740992"},
        {"{\"maximum\":18446744073709551614}", "18446744073709551615", "",
         "must be at most 18446744073709551614"},
        {"{\"const\":1}", "1.0", NULL, NULL},
        {"false", "1", "", "is not allowed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_first_problem(&cases[i], NULL);
}

Test(schema, reports_problems_up_to_a_limit)
{
    void *ctx = talloc_new(NULL);
    struct schema_problems problems;
    struct schema *schema = compile_schema(ctx, "{\"items\":{\"type\":\"null\"}}", NULL);
    cr_expect_eq(schema_validate(ctx, schema, parse_json(ctx, "[1,null,2]"), &problems), ERR_INVALID);
    cr_assert_eq(problems.count, 2);
    cr_expect_str_eq(problems.items[1].pointer, "/2");
    char *many = talloc_strdup(ctx, "[1");
    for (int i = 0; i < 500; i++)
        many = talloc_strdup_append_buffer(many, ",1");
    many = talloc_strdup_append_buffer(many, "]");
    cr_expect_eq(schema_validate(ctx, schema, parse_json(ctx, many), &problems), ERR_INVALID);
    cr_expect_eq(problems.count, SCHEMA_PROBLEMS_MAX);
    cr_expect_eq(schema_validate(ctx, schema, parse_json(ctx, many), NULL), ERR_INVALID);
    talloc_free(ctx);
}

Test(schema, reports_invalid_schemas_by_pointer)
{
    static const struct {
        const char *schema, *pointer, *part;
    } cases[] = {
        {"1", "", "object or a boolean"},
        {"{\"minimum\":\"a\"}", "/minimum", "must be a number"},
        {"{\"properties\":{\"a\":{\"type\":\"strin\"}}}", "/properties/a/type", "one of 2 alternatives"},
        {"{\"$ref\":\"#/$defs/x\"}", "/$ref", "does not lead to a schema"},
        {"{\"$defs\":{\"unused\":{\"$ref\":\"http://a/b\"}}}", "/$defs/unused/$ref",
         "cannot find the schema"},
        {"{\"pattern\":\"a)\"}", "/pattern", "not a valid regular expression"},
        {"{\"pattern\":\"(*NO_JIT)a\"}", "/pattern", "not a valid regular expression"},
        {"{\"pattern\":\"a++\"}", "/pattern", "not a valid regular expression"},
        {"{\"pattern\":\"(?R)\"}", "/pattern", "not a valid regular expression"},
        {"{\"$schema\":\"http://json-schema.org/draft-07/schema#\"}", "/$schema", "unknown metaschema"},
        {"{\"$id\":\"http://a/b#c\"}", "/$id", "pattern"},
        {"{\"$defs\":{\"a\":{\"$anchor\":\"x\"},\"b\":{\"$anchor\":\"x\"}}}", "/$defs/b/$anchor", "already"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *ctx = talloc_new(NULL);
        struct schema *schema;
        struct schema_problems problems;
        enum err e = schema_compile(ctx, parse_json(ctx, cases[i].schema), NULL, &schema, &problems);
        cr_expect_eq(e, ERR_INVALID, "%s", cases[i].schema);
        cr_expect_null(schema);
        cr_assert_gt(problems.count, 0, "%s", cases[i].schema);
        cr_expect_str_eq(problems.items[0].pointer, cases[i].pointer);
        cr_expect(strstr(problems.items[0].message, cases[i].part) != NULL, "%s: %s", cases[i].schema,
                  problems.items[0].message);
        talloc_free(ctx);
    }
}

Test(schema, hostile_schemas_terminate)
{
    static const char a60[] = "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"";
    static const struct {
        const char *schema, *instance;
    } cases[] = {
        {"{\"$ref\":\"#\"}", "1"},
        {"{\"not\":{\"$ref\":\"#\"}}", "1"},
        {"{\"allOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}", "1"},
        {"{\"$dynamicAnchor\":\"a\",\"$dynamicRef\":\"#a\"}", "1"},
        {"{\"anyOf\":[{\"$ref\":\"#\"}],\"unevaluatedProperties\":{\"$ref\":\"#\"}}", "{\"a\":{}}"},
        {"{\"pattern\":\"^(a+)+$\"}", a60},
        {"{\"patternProperties\":{\"(a|aa)+$\":true}}",
         "{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\":1}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *ctx = talloc_new(NULL);
        struct schema_problems problems;
        struct schema *schema = compile_schema(ctx, cases[i].schema, NULL);
        enum err e = schema_validate(ctx, schema, parse_json(ctx, cases[i].instance), &problems);
        cr_expect_eq(e, ERR_LIMIT, "%s: %s", cases[i].schema, err_name(e));
        cr_expect_eq(problems.count, 1);
        talloc_free(ctx);
    }
}

/* PCRE2 restarts its step count at each start position: an unanchored pattern must not take quadratic time on
 * a long string. */
Test(schema, a_long_string_is_not_quadratic, .timeout = 20)
{
    void *ctx = talloc_new(NULL);
    char *text = talloc_size(ctx, 1000003);
    memset(text, 'a', 1000002);
    text[0] = text[1000001] = '"';
    text[1000002] = '\0';
    json_object *instance = parse_json(ctx, text);
    cr_expect_eq(schema_validate(ctx, compile_schema(ctx, "{\"pattern\":\"a*[bc]\"}", NULL), instance, NULL),
                 ERR_LIMIT);
    cr_expect_eq(schema_validate(ctx, compile_schema(ctx, "{\"pattern\":\"(?=a*)b\"}", NULL), instance, NULL),
                 ERR_LIMIT);
    cr_expect_eq(schema_validate(ctx, compile_schema(ctx, "{\"pattern\":\"[bc]\"}", NULL), instance, NULL),
                 ERR_INVALID);
    cr_expect_eq(
        schema_validate(ctx, compile_schema(ctx, "{\"pattern\":\"^[a-z]+$\"}", NULL), instance, NULL), OK);
    talloc_free(ctx);
}

Test(schema, ten_thousand_unique_items_are_cheap)
{
    void *ctx = talloc_new(NULL);
    json_object *list = json_own(ctx, json_object_new_array());
    for (int i = 0; i < 10000; i++)
        json_object_array_add(list, json_object_new_int(i));
    struct schema *schema = compile_schema(ctx, "{\"uniqueItems\":true}", NULL);
    cr_expect_eq(schema_validate(ctx, schema, list, NULL), OK);
    json_object_array_add(list, json_object_new_double(77.0));
    cr_expect_eq(schema_validate(ctx, schema, list, NULL), ERR_INVALID);
    talloc_free(ctx);
}

Test(schema, enforces_the_budget)
{
    void *ctx = talloc_new(NULL);
    struct schema_options opt = {.budget = 50};
    struct schema *schema = compile_schema(ctx, "{\"items\":{\"type\":\"integer\"}}", &opt);
    cr_expect_eq(schema_validate(ctx, schema, parse_json(ctx, "[1,2,3]"), NULL), OK);
    json_object *list = json_own(ctx, json_object_new_array());
    for (int i = 0; i < 100; i++)
        json_object_array_add(list, json_object_new_int(i));
    cr_expect_eq(schema_validate(ctx, schema, list, NULL), ERR_LIMIT);
    talloc_free(ctx);
}

/* `n` times `item`, as an array; of ctx. */
static char *array_text(void *ctx, const char *item, size_t n)
{
    char *text = talloc_array(ctx, char, n *(strlen(item) + 1) + 2);
    char *end = text;
    for (size_t i = 0; i < n; i++) {
        *end++ = i == 0 ? '[' : ',';
        end = stpcpy(end, item);
    }
    stpcpy(end, "]");
    return text;
}

/* Validates, and expects that the limit is reached at `pointer`. NULL: that it is not. */
static void check_limit(const char *schema, const char *instance, const char *pointer)
{
    void *ctx = talloc_new(NULL);
    struct schema_problems problems = {0};
    enum err e =
        schema_validate(ctx, compile_schema(ctx, schema, NULL), parse_json(ctx, instance), &problems);
    if (pointer) {
        cr_expect_eq(e, ERR_LIMIT, "%.100s", schema);
        cr_assert_eq(problems.count, 1);
        cr_expect_str_eq(problems.items[0].pointer, pointer);
        cr_expect_str_eq(problems.items[0].message,
                         "exceeds the limit of 1000000 units of work of one validation by this schema");
    } else {
        cr_expect(e == OK || e == ERR_INVALID, "%.100s", schema);
    }
    talloc_free(ctx);
}

/* Each of these takes seconds to minutes if one check counts as one unit, however large the values are. The
 * same keywords on ordinary values stay below the limit. */
Test(schema, work_is_charged_by_size, .timeout = 60)
{
    void *ctx = talloc_new(NULL);
    char *numbers = array_text(ctx, "1", 100000);
    char *text = talloc_array(ctx, char, 500003);
    memset(text, 'a', 500002);
    text[0] = text[500001] = '"';
    text[500002] = '\0';
    char *other = talloc_strdup(ctx, text);
    other[500000] = 'b';
    char *references = array_text(ctx, "{\"$ref\":\"#/$defs/c\"}", 2000);
    char *by_numbers = talloc_asprintf(ctx, "{\"l\":%s}", numbers);
    char *by_text = talloc_asprintf(ctx, "{\"l\":%s}", text);
    const struct {
        const char *keyword;
        const char *large, *ordinary;
    } rows[] = {
        {talloc_asprintf(ctx, "{\"const\":%s}", numbers), by_numbers, "{\"l\":[1]}"},
        {talloc_asprintf(ctx, "{\"enum\":[%s]}", numbers), by_numbers, "{\"l\":[1]}"},
        {talloc_asprintf(ctx, "{\"const\":%s}", other), NULL, "{\"l\":\"a\"}"},
        {"{\"minLength\":3}", by_text, "{\"l\":\"aaaa\"}"},
        {"{\"maxLength\":3000000}", by_text, "{\"l\":\"aaaa\"}"},
        {"{\"uniqueItems\":true}", talloc_asprintf(ctx, "{\"l\":[%s,1]}", text), "{\"l\":[1,2,3]}"},
        {"{\"pattern\":\"^a+$\"}", by_text, "{\"l\":\"aaaa\"}"},
        {talloc_asprintf(ctx, "{\"required\":[%s]}", text), "{\"l\":{}}", NULL},
        {talloc_asprintf(ctx, "{\"dependentRequired\":{%s:[]}}", text), "{\"l\":{}}", NULL},
        {talloc_asprintf(ctx, "{\"dependentSchemas\":{%s:{}}}", text), "{\"l\":{}}", NULL},
        {"{\"propertyNames\":{}}", talloc_asprintf(ctx, "{\"l\":{%s:1}}", text), "{\"l\":{\"a\":1}}"},
        {"{\"properties\":{\"a\":{}}}", talloc_asprintf(ctx, "{\"l\":{%s:1}}", text), "{\"l\":{\"a\":1}}"},
        {"{\"multipleOf\":0.1}", NULL, "{\"l\":0.3}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *schema = talloc_asprintf(ctx, "{\"$defs\":{\"c\":%s},\"properties\":{\"l\":{\"allOf\":%s}}}",
                                       rows[i].keyword, references);
        if (rows[i].large)
            check_limit(schema, rows[i].large, "/l");
        if (rows[i].ordinary)
            check_limit(schema, rows[i].ordinary, NULL);
        talloc_free(schema);
    }
    talloc_free(ctx);
}

/* What a request can hold passes once: the limit is for repeated work. */
Test(schema, large_values_pass_once)
{
    void *ctx = talloc_new(NULL);
    char *objects = talloc_strdup(ctx, "[");
    for (int i = 0; i < 30000; i++)
        objects = talloc_asprintf_append_buffer(objects, "%s{\"a\":%d,\"b\":[%d]}", i ? "," : "", i, i);
    objects = talloc_strdup_append_buffer(objects, "]");
    check_limit("{\"uniqueItems\":true,\"items\":{\"required\":[\"a\",\"b\"],\"properties\":{\"a\":{\"type\":"
                "\"integer\"}}}}",
                objects, NULL);
    char *texts = array_text(ctx, "\"2026-01-01T00:00:00Z\"", 30000);
    check_limit("{\"items\":{\"minLength\":1,\"maxLength\":40,\"pattern\":\"^[0-9]{4}-[0-9-]*T\"}}", texts,
                NULL);
    talloc_free(ctx);
}

/* A name can be as long as the document. Neither a hundred problems nor 10,000 schemas below it copy it. */
Test(schema, long_names_are_not_copied)
{
    void *ctx = talloc_new(NULL);
    char *name = talloc_array(ctx, char, 500001);
    memset(name, 'n', 500000);
    name[500000] = '\0';
    struct schema_problems problems = {0};
    struct schema *schema =
        compile_schema(ctx, "{\"additionalProperties\":{\"items\":{\"type\":\"string\"}}}", NULL);
    json_object *instance =
        parse_json(ctx, talloc_asprintf(ctx, "{\"%s\":%s}", name, array_text(ctx, "1", 1000)));
    cr_expect_eq(schema_validate(ctx, schema, instance, &problems), ERR_INVALID);
    cr_assert_eq(problems.count, SCHEMA_PROBLEMS_MAX);
    cr_expect_str_eq(problems.items[0].pointer, "/0");
    char *document =
        talloc_asprintf(ctx, "{\"properties\":{\"%s\":{\"allOf\":%s}}}", name, array_text(ctx, "{}", 10000));
    void *own = talloc_new(ctx);
    compile_schema(own, document, NULL);
    cr_expect_leq(talloc_total_size(own), 50U * 1024 * 1024);
    talloc_free(ctx);
}

/* A compiled schema must not refer to its document. */
Test(schema, outlives_its_document)
{
    void *ctx = talloc_new(NULL);
    void *document_ctx = talloc_new(NULL);
    struct schema *schema;
    struct schema_problems problems;
    json_object *document = parse_json(document_ctx, "{\"enum\":[{\"a\":[1]}],\"multipleOf\":2}");
    cr_assert_eq(schema_compile(ctx, document, NULL, &schema, &problems), OK);
    talloc_free(document_ctx);
    cr_expect_eq(schema_validate(ctx, schema, parse_json(ctx, "{\"a\":[1]}"), &problems), OK);
    cr_expect_eq(schema_validate(ctx, schema, parse_json(ctx, "3"), &problems), ERR_INVALID);
    talloc_free(ctx);
}

static void write_schema_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

Test(schema, registry_serves_only_its_prefix)
{
    char dir[] = "/tmp/millrace-schema-XXXXXX";
    cr_assert_not_null(mkdtemp(dir));
    write_schema_file(dir, "person.json",
                      "{\"$defs\":{\"age\":{\"$ref\":\"age.json\"}},\"required\":[\"name\"]}");
    write_schema_file(dir, "age.json", "{\"type\":\"integer\"}");
    write_schema_file(
        dir, "loose.json",
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"$id\":\"https://x.example/"
        "loose.json\","
        "\"$vocabulary\":{\"https://json-schema.org/draft/2020-12/vocab/core\":true,"
        "\"https://json-schema.org/draft/2020-12/vocab/applicator\":true}}");
    write_schema_file(dir, "broken.json", "{\"type\":1}");
    void *ctx = talloc_new(NULL);
    struct schema_registry *registry = schema_registry_new(ctx);
    schema_registry_add(registry, "https://x.example", dir);
    struct schema_options opt = {.registry = registry};
    static const struct expected cases[] = {
        {"{\"$ref\":\"https://x.example/person.json\"}", "{}", "", "lacks a required member: \"name\""},
        {"{\"$ref\":\"https://x.example/person\"}", "{\"name\":1}", NULL, NULL},
        {"{\"items\":{\"$ref\":\"https://x.example/person.json#/$defs/age\"}}", "[1.5]", "/0",
         "must be an integer"},
        {"{\"$schema\":\"https://x.example/loose.json\",\"minimum\":10,\"properties\":{\"a\":false}}", "1",
         NULL, NULL},
        {"{\"$schema\":\"https://x.example/loose.json\",\"properties\":{\"a\":false}}", "{\"a\":1}", "/a",
         "is not allowed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_first_problem(&cases[i], &opt);
    static const char *const refused[] = {"https://x.example.org/age.json",
                                          "https://x.example/../etc/passwd",
                                          "https://x.example/%2e%2e/%2e%2e/etc/passwd",
                                          "https://x.example/none.json",
                                          "https://x.example/broken.json",
                                          "file:///etc/passwd",
                                          "age.json"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct schema *schema;
        struct schema_problems problems;
        char *text = talloc_asprintf(ctx, "{\"$ref\":\"%s\"}", refused[i]);
        cr_expect_eq(schema_compile(ctx, parse_json(ctx, text), &opt, &schema, &problems), ERR_INVALID, "%s",
                     text);
        cr_expect_gt(problems.count, 0);
    }
    static const char *const files[] = {"person.json", "age.json", "loose.json", "broken.json"};
    for (size_t i = 0; i < 4; i++)
        unlink(talloc_asprintf(ctx, "%s/%s", dir, files[i]));
    rmdir(dir);
    talloc_free(ctx);
}

Test(schema, formats_are_asserted_only_on_demand)
{
    static const struct expected loose = {"{\"format\":\"ipv4\"}", "\"1.2.3.256\"", NULL, NULL};
    static const struct expected strict[] = {
        {"{\"format\":\"ipv4\"}", "\"1.2.3.256\"", "", "must have the format \"ipv4\""},
        {"{\"format\":\"date-time\"}", "\"1998-12-31T23:59:60Z\"", NULL, NULL},
        {"{\"format\":\"date-time\"}", "\"1998-12-31T22:59:60Z\"", "", "must have the format \"date-time\""},
        {"{\"format\":\"date\"}", "\"2023-02-29\"", "", "must have the format \"date\""},
        {"{\"format\":\"email\"}", "\"a..b@c.d\"", "", "must have the format \"email\""},
        {"{\"format\":\"uri\"}", "\"http://[::1]:80/a?b#c\"", NULL, NULL},
        {"{\"format\":\"uuid\"}", "\"2eb8aa08-aa98-11ea-b4aa-73b441d1638\"", "",
         "must have the format \"uuid\""},
        {"{\"format\":\"regex\"}", "\"^(abc]\"", "", "must have the format \"regex\""},
        {"{\"format\":\"no such\"}", "\"x\"", NULL, NULL},
    };
    struct schema_options opt = {.assert_formats = true};
    expect_first_problem(&loose, NULL);
    for (size_t i = 0; i < sizeof strict / sizeof *strict; i++)
        expect_first_problem(&strict[i], &opt);
}

static void *validate_often(void *arg)
{
    void *ctx = talloc_new(NULL);
    json_object *good = parse_json(ctx, "{\"k\":[{\"k\":[]}],\"s\":\"abc\",\"e\":1.0}");
    json_object *bad = parse_json(ctx, "{\"k\":[{\"k\":[1]}],\"s\":\"abd\",\"e\":2}");
    uintptr_t wrong = 0;
    for (int i = 0; i < 300; i++) {
        struct schema_problems problems;
        wrong += schema_validate(ctx, arg, good, &problems) != OK;
        wrong += schema_validate(ctx, arg, bad, &problems) != ERR_INVALID || problems.count != 3;
    }
    talloc_free(ctx);
    return (void *)wrong;
}

Test(schema, threads_share_a_compiled_schema)
{
    void *ctx = talloc_new(NULL);
    struct schema *schema = compile_schema(
        ctx,
        "{\"$dynamicAnchor\":\"n\",\"type\":\"object\",\"properties\":{\"k\":{\"items\":{\"$"
        "dynamicRef\":\"#n\"}},"
        "\"s\":{\"pattern\":\"c$\"},\"e\":{\"enum\":[0.5,1,\"x\"]}},\"unevaluatedProperties\":false}",
        NULL);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, validate_often, schema), 0);
    for (int i = 0; i < 50; i++) /* this thread compiles other schemas at the same time */
        compile_schema(ctx, "{\"properties\":{\"a\":{\"pattern\":\"^x\"}}}", NULL);
    for (int i = 0; i < 3; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        cr_expect_null(wrong);
    }
    talloc_free(ctx);
}
