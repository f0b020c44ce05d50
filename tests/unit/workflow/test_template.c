#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "workflow/template.h"
#include "json/json.h"

static json_object *parse_json(void *ctx, const char *text)
{
    json_object *value;
    const char *why;
    enum err e = json_parse(ctx, text, strlen(text), JSON_DEPTH_MAX, &value, &why);
    cr_assert_eq(e, OK, "%s: %s", text, why);
    return value;
}

static const char *template_secret(void *arg, const char *name, size_t *size_r)
{
    int *uses = arg;
    (*uses)++;
    if (strcmp(name, "KEY") != 0)
        return NULL;
    *size_r = 6;
    return "s3cr&t";
}

static struct template_scope make_scope(void *ctx, int *uses)
{
    return (struct template_scope){
        .inputs = parse_json(
            ctx, "{\"s\":\"a/b c\",\"n\":7,\"d\":1.50,\"t\":true,\"z\":null,\"o\":{\"x\":[1,\"q\\\"\"]},"
                 "\"e\":\"\",\"crlf\":\"a\\r\\nb\",\"nul\":\"a\\u0000b\",\"dots\":\"..\","
                 "\"a/b\":{\"m~n\":5},\"big\":18446744073709551615,\"u\":\"\xc3\xa9\",\"\":9}"),
        .steps = parse_json(
            ctx, "{\"one\":{\"result\":{\"status\":200},\"status\":\"completed\",\"error\":null}}"),
        .execution = parse_json(ctx, "{\"id\":\"E\"}"),
        .in_loop = true,
        .item = parse_json(ctx, "{\"k\":\"v\"}"),
        .index = 3,
        .secret = template_secret,
        .secret_arg = uses,
    };
}

struct template_case {
    const char *template, *result; /* result NULL: an error, and `why` is part of its sentence */
    const char *why;
};

static void check_case(const struct template_case *row, enum template_form form)
{
    void *ctx = talloc_new(NULL);
    int uses = 0;
    struct template_scope scope = make_scope(ctx, &uses);
    struct json_problems *problems = json_problems_new(ctx);
    struct json_template *t = template_compile(ctx, parse_json(ctx, row->template), form, "", NULL, problems);
    const char *why = NULL;
    enum err e = ERR_INVALID;
    if (!t) {
        cr_expect_eq(problems->count, 1, "%s", row->template);
        why = problems->list[0].message;
    } else if (form == TEMPLATE_VALUE) {
        json_object *value;
        e = template_render(ctx, t, &scope, TEMPLATE_RESULT_MAX, &value, &why);
        if (e == OK && row->result)
            cr_expect_str_eq(json_text(value, NULL), row->result, "%s", row->template);
        if (e == OK)
            cr_expect_eq(template_json_size(value, 4096), strlen(json_text(value, NULL)), "%s",
                         row->template);
    } else {
        char *text;
        size_t size;
        e = template_render_text(ctx, t, &scope, TEMPLATE_RESULT_MAX, &text, &size, &why);
        if (e == OK && row->result)
            cr_expect_str_eq(text, row->result, "%s", row->template);
    }
    if (row->result)
        cr_expect_eq(e, OK, "%s: %s", row->template, why);
    else
        cr_expect(e != OK && why && strstr(why, row->why), "%s: %s", row->template, why ? why : "no error");
    talloc_free(ctx);
}

#define CHECK(rows, form)                                                                                    \
    for (size_t i = 0; i < sizeof(rows) / sizeof *(rows); i++)                                               \
    check_case(&(rows)[i], form)

Test(template, renders_values)
{
    static const struct template_case rows[] = {
        {"1", "1", NULL},
        {"null", "null", NULL},
        {"1.50", "1.50", NULL},
        {"\"plain\"", "\"plain\"", NULL},
        {"\"\"", "\"\"", NULL},
        {"{}", "{}", NULL},
        {"[]", "[]", NULL},
        {"\"${/inputs/s}\"", "\"a/b c\"", NULL},
        {"\"${/inputs/n}\"", "7", NULL},
        {"\"${/inputs/d}\"", "1.50", NULL},
        {"\"${/inputs/t}\"", "true", NULL},
        {"\"${/inputs/z}\"", "null", NULL},
        {"\"${/inputs/o}\"", "{\"x\":[1,\"q\\\"\"]}", NULL},
        {"\"${/inputs/o/x/1}\"", "\"q\\\"\"", NULL},
        {"\"${/inputs/a~1b/m~0n}\"", "5", NULL},
        {"\"${/inputs/}\"", "9", NULL},
        {"\"${/inputs/big}\"", "18446744073709551615", NULL},
        {"\"${/index}\"", "3", NULL},
        {"\"${/item}\"", "{\"k\":\"v\"}", NULL},
        {"\"${/item/k}\"", "\"v\"", NULL},
        {"\"${/execution/id}\"", "\"E\"", NULL},
        {"\"${/steps/one/result/status}\"", "200", NULL},
        {"\"${/steps/one/error}\"", "null", NULL},
        {"\"${/secrets/KEY}\"", "\"s3cr&t\"", NULL},
        {"\"x${/inputs/n}\"", "\"x7\"", NULL},
        {"\"${/inputs/n}x\"", "\"7x\"", NULL},
        {"\"${/inputs/n}${/inputs/n}\"", "\"77\"", NULL},
        {"\"<${/inputs/z}|${/inputs/t}|${/inputs/d}|${/inputs/o}|${/inputs/e}>\"",
         "\"<null|true|1.50|{\\\"x\\\":[1,\\\"q\\\\\\\"\\\"]}|>\"", NULL},
        {"\"${/inputs/nul}!\"", "\"a\\u0000b!\"", NULL},
        {"\"$${/inputs/n}\"", "\"${/inputs/n}\"", NULL},
        {"\"a$${b\"", "\"a${b\"", NULL},
        {"\"$$${/inputs/n}\"", "\"$${/inputs/n}\"", NULL},
        {"\"$\"", "\"$\"", NULL},
        {"\"$$\"", "\"$$\"", NULL},
        {"\"5 $ {x} }\"", "\"5 $ {x} }\"", NULL},
        {"\"$${${/inputs/n}}\"", "\"${7}\"", NULL},
        {"{\"${/inputs/n}\":\"${/inputs/n}\"}", "{\"${/inputs/n}\":7}", NULL},
        {"{\"a\":[\"${/index}\",{\"b\":\"$${\"}],\"c\":null}", "{\"a\":[3,{\"b\":\"${\"}],\"c\":null}", NULL},
        {"\"${/inputs/none}\"", NULL, "the reference ${/inputs/none} finds nothing"},
        {"\"a${/inputs/s/x}\"", NULL, "${/inputs/s/x} finds nothing"},
        {"[1,{\"a\":\"${/steps/two/result}\"}]", NULL, "${/steps/two/result} finds nothing"},
        {"\"${/secrets/OTHER}\"", NULL, "${/secrets/OTHER} finds nothing"},
        {"\"${/inputs/o/x/01}\"", NULL, "finds nothing"},
        {"\"${/inputs/o/x/-}\"", NULL, "finds nothing"},
        {"\"${/inputs/n\"", NULL, "lacks its closing }"},
        {"\"${\"", NULL, "lacks its closing }"},
        {"\"${}\"", NULL, "must start with /"},
        {"\"${inputs/n}\"", NULL, "must start with /"},
        {"\"${ /inputs/n}\"", NULL, "must start with /"},
        {"\"${/}\"", NULL, "a reference must start with /inputs"},
        {"\"${/input/n}\"", NULL, "a reference must start with /inputs"},
        {"\"${/inputsx}\"", NULL, "a reference must start with /inputs"},
        {"\"${/INPUTS}\"", NULL, "a reference must start with /inputs"},
        {"\"${/inputs/a~2}\"", NULL, "~0 and ~1"},
        {"\"${/inputs/a~}\"", NULL, "~0 and ~1"},
        {"\"${/index/0}\"", NULL, "index is a number"},
        {"\"${/secrets}\"", NULL, "${/secrets/NAME}"},
        {"\"${/secrets/}\"", NULL, "${/secrets/NAME}"},
        {"\"${/secrets/KEY/x}\"", NULL, "${/secrets/NAME}"},
        {"\"${/inputs/\\u0000}\"", NULL, "contains NUL"},
    };
    CHECK(rows, TEMPLATE_VALUE);
}

Test(template, renders_texts)
{
    static const struct template_case rows[] = {
        {"\"${/inputs/n}\"", "7", NULL},
        {"\"hi ${/inputs/s}\"", "hi a/b c", NULL},
        {"\"\"", "", NULL},
        {"12", "12", NULL},
        {"true", "true", NULL},
        {"null", NULL, "must be a text"},
        {"[]", NULL, "must be a text"},
        {"\"${/inputs/crlf}\"", "a\r\nb", NULL},
        {"\"${/inputs/q}\"", NULL, "finds nothing"},
    };
    CHECK(rows, TEMPLATE_TEXT);
}

Test(template, renders_headers)
{
    static const struct template_case rows[] = {
        {"\"Bearer ${/secrets/KEY}\"", "Bearer s3cr&t", NULL},
        {"3", "3", NULL},
        {"\"a\\tb\"", "a\tb", NULL},
        {"\"${/inputs/crlf}\"", NULL, "CR, LF or NUL"},
        {"\"x${/inputs/nul}\"", NULL, "CR, LF or NUL"},
        {"\"a\\nb\"", NULL, "CR, LF or NUL"},
        {"\"a\\u0000\"", NULL, "CR, LF or NUL"},
    };
    CHECK(rows, TEMPLATE_HEADER);
}

Test(template, renders_urls)
{
    static const struct template_case rows[] = {
        {"\"http://h\"", "http://h", NULL},
        {"\"HTTPS://h:8443/p?q#f\"", "HTTPS://h:8443/p?q#f", NULL},
        {"\"http://[::1]:80/x\"", "http://[::1]:80/x", NULL},
        {"\"https://h/${/inputs/s}/x\"", "https://h/a%2Fb%20c/x", NULL},
        {"\"https://h/?q=${/inputs/u}&r=${/inputs/n}\"", "https://h/?q=%C3%A9&r=7", NULL},
        {"\"https://h/?q=${/inputs/o}\"", "https://h/?q=%7B%22x%22%3A%5B1%2C%22q%5C%22%22%5D%7D", NULL},
        {"\"https://h/?k=${/secrets/KEY}\"", "https://h/?k=s3cr%26t", NULL},
        {"\"https://h/?q=${/inputs/crlf}\"", "https://h/?q=a%0D%0Ab", NULL},
        {"\"https://h?${/inputs/n}\"", "https://h?7", NULL},
        {"\"https://h#${/inputs/n}\"", "https://h#7", NULL},
        {"\"https://h/a${/inputs/dots}/b\"", "https://h/a../b", NULL},
        {"\"https://h/${/inputs/e}/b\"", "https://h//b", NULL},
        {"\"https://h/?x=${/inputs/dots}/..\"", "https://h/?x=../..", NULL},
        {"\"https://h/${/inputs/dots}/b\"", NULL, "a value makes a path segment"},
        {"\"https://h/a/${/inputs/dots}\"", NULL, "a value makes a path segment"},
        {"\"https://h/.${/inputs/e}\"", NULL, "a value makes a path segment"},
        {"\"https://h/%2e${/inputs/e}?x\"", NULL, "a value makes a path segment"},
        {"\"https://h/a/../b\"", NULL, "is . or .."},
        {"\"https://h/%2E%2e/${/inputs/n}\"", NULL, "is . or .."},
        {"\"${/inputs/s}\"", NULL, "not with a reference"},
        {"\"${/inputs/s}/x\"", NULL, "not with a reference"},
        {"\"http${/inputs/s}://h/\"", NULL, "must start with http://"},
        {"\"http://${/inputs/s}\"", NULL, "host or port"},
        {"\"http://${/inputs/s}/x\"", NULL, "host or port"},
        {"\"http://h${/inputs/s}\"", NULL, "host or port"},
        {"\"http://h.${/inputs/s}.org/\"", NULL, "host or port"},
        {"\"http://h:${/inputs/n}/\"", NULL, "host or port"},
        {"\"http://${/inputs/s}@h/\"", NULL, "host or port"},
        {"\"http://h@${/inputs/s}/\"", NULL, "host or port"},
        {"\"http://h\\\\${/inputs/s}/\"", NULL, "backslashes"},
        {"\"http:///${/inputs/s}\"", NULL, "no host"},
        {"\"http://\"", NULL, "no host"},
        {"\"http://:80/\"", NULL, "no host"},
        {"\"http://u:p@h/\"", NULL, "user name"},
        {"\"http://h:0/\"", NULL, "port"},
        {"\"http://h:65536/\"", NULL, "port"},
        {"\"http://h:/\"", NULL, "port"},
        {"\"http://h:8o/\"", NULL, "port"},
        {"\"http://[::1/\"", NULL, "IPv6"},
        {"\"http://[]/\"", NULL, "IPv6"},
        {"\"http://[::1]x/\"", NULL, "malformed"},
        {"\"http://h|x/\"", NULL, "character"},
        {"\"http://h/a b\"", NULL, "blanks"},
        {"\"http://h/a\\nb\"", NULL, "blanks"},
        {"\"http:/h/\"", NULL, "must start with http://"},
        {"\"//h/\"", NULL, "must start with http://"},
        {"\"ftp://h/\"", NULL, "must start with http://"},
        {"\"file:///etc/passwd\"", NULL, "must start with http://"},
        {"\"\"", NULL, "must start with http://"},
        {"3", NULL, "must start with http://"},
    };
    CHECK(rows, TEMPLATE_URL);
}

static enum err render_value(void *ctx, const char *text, const struct template_scope *scope, size_t limit,
                             json_object **value_r)
{
    const char *why;
    struct json_template *t =
        template_compile(ctx, parse_json(ctx, text), TEMPLATE_VALUE, "", NULL, json_problems_new(ctx));
    cr_assert_not_null(t, "%s", text);
    return template_render(ctx, t, scope, limit, value_r, &why);
}

Test(template, limits_are_exact)
{
    void *ctx = talloc_new(NULL);
    int uses = 0;
    struct template_scope scope = make_scope(ctx, &uses);
    static const char *const texts[] = {
        "{\"a\":\"${/inputs/o}\",\"b\":[1,\"x\\ny${/inputs/nul}\"],\"c\":{\"d\":\"/\\u0001\"}}",
        "[\"${/inputs}\",\"${/item}\",[]]",
        "\"${/inputs/o} and ${/inputs/o}\"",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_object *value;
        cr_assert_eq(render_value(ctx, texts[i], &scope, TEMPLATE_RESULT_MAX, &value), OK);
        size_t size = strlen(json_text(value, NULL));
        cr_expect_eq(render_value(ctx, texts[i], &scope, size, &value), OK, "%s", texts[i]);
        cr_expect_eq(render_value(ctx, texts[i], &scope, size - 1, &value), ERR_LIMIT, "%s", texts[i]);
        cr_expect_null(value);
    }
    talloc_free(ctx);
}

Test(template, limits_the_expansion)
{
    void *ctx = talloc_new(NULL);
    int uses = 0;
    struct template_scope scope = make_scope(ctx, &uses);
    char *kib = talloc_zero_array(ctx, char, 100001);
    memset(kib, 'x', 100000);
    json_object_object_add(scope.inputs, "kib", json_object_new_string(kib));
    json_object *value;
    cr_expect_eq(render_value(ctx, "\"${/inputs/kib}${/inputs/kib}\"", &scope, TEMPLATE_RESULT_MAX, &value),
                 OK);
    cr_expect_eq(render_value(ctx, "\"${/inputs/kib}${/inputs/kib}${/inputs/kib}\"", &scope,
                              TEMPLATE_RESULT_MAX, &value),
                 ERR_LIMIT);
    cr_expect_eq(render_value(ctx, "[\"${/inputs/kib}\",\"${/inputs/kib}\",\"${/inputs/kib}\"]", &scope,
                              TEMPLATE_RESULT_MAX, &value),
                 ERR_LIMIT);
    scope.item = NULL;
    for (int level = 0; level < TEMPLATE_DEPTH_MAX; level++)
        cr_assert_eq(render_value(ctx, "[\"${/item}\"]", &scope, TEMPLATE_RESULT_MAX, &scope.item), OK, "%d",
                     level);
    cr_expect_eq(render_value(ctx, "\"${/item}\"", &scope, TEMPLATE_RESULT_MAX, &value), OK);
    cr_expect_eq(render_value(ctx, "[\"${/item}\"]", &scope, TEMPLATE_RESULT_MAX, &value), ERR_LIMIT);
    cr_expect_eq(render_value(ctx, "\"a${/item}\"", &scope, TEMPLATE_RESULT_MAX, &value), OK);
    talloc_free(ctx);
}

/* Literals belong to the compiled template, which other threads render, too. */
Test(template, a_result_shares_nothing_with_the_template)
{
    void *ctx = talloc_new(NULL);
    int uses = 0;
    struct template_scope scope = make_scope(ctx, &uses);
    json_object *first;
    json_object *second;
    const char *why;
    struct json_template *t =
        template_compile(ctx, parse_json(ctx, "{\"l\":{\"a\":[{}]},\"r\":\"${/index}\"}"), TEMPLATE_VALUE, "",
                         NULL, json_problems_new(ctx));
    cr_assert_eq(template_render(ctx, t, &scope, 1000, &first, &why), OK);
    json_object_object_add(json_get(first, "l"), "a", NULL);
    cr_assert_eq(template_render(ctx, t, &scope, 1000, &second, &why), OK);
    cr_expect_str_eq(json_text(json_get(second, "l"), NULL), "{\"a\":[{}]}");
    talloc_free(ctx);
}

Test(template, a_result_outlives_the_scope)
{
    void *ctx = talloc_new(NULL);
    void *inner = talloc_new(NULL);
    int uses = 0;
    struct template_scope scope = make_scope(inner, &uses);
    json_object *value;
    cr_assert_eq(render_value(ctx, "{\"o\":\"${/inputs/o}\"}", &scope, 1000, &value), OK);
    talloc_free(inner);
    cr_expect_str_eq(json_text(value, NULL), "{\"o\":{\"x\":[1,\"q\\\"\"]}}");
    talloc_free(ctx);
}

/* A run adds to `steps`: a result that shared it could come to contain itself. */
Test(template, steps_as_a_whole_are_copied)
{
    void *ctx = talloc_new(NULL);
    struct template_scope scope = {.steps = parse_json(ctx, "{\"a\":{\"result\":1}}")};
    json_object *value;
    cr_assert_eq(render_value(ctx, "\"${/steps}\"", &scope, 1000, &value), OK);
    json_object_object_add(scope.steps, "b", json_object_get(value));
    cr_expect_str_eq(json_text(scope.steps, NULL), "{\"a\":{\"result\":1},\"b\":{\"a\":{\"result\":1}}}");
    talloc_free(ctx);
}

/* --- the budget --- */

static enum err render_within(const char *text, const char *inputs, struct budget *budget)
{
    void *ctx = talloc_new(NULL);
    struct template_scope scope = {.inputs = parse_json(ctx, inputs), .budget = budget};
    json_object *value;
    enum err e = render_value(ctx, text, &scope, TEMPLATE_RESULT_MAX, &value);
    talloc_free(ctx);
    return e;
}

/* Units that rendering `text` uses. */
static size_t units_of(const char *text, const char *inputs)
{
    struct budget budget = {.limit = SIZE_MAX};
    cr_expect_eq(render_within(text, inputs, &budget), OK, "%s", text);
    return budget.used;
}

Test(template, a_budget_is_exact)
{
    static const char *const texts[] = {
        "\"${/inputs/a}\"",
        "\"x${/inputs/a}y\"",
        "[1,{\"k\":\"${/inputs}\"}]",
        "{\"a\":[{}],\"b\":\"${/inputs/a/1}\"}",
    };
    static const char inputs[] = "{\"a\":[1,\"two\",{\"three\":3.5}]}";
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t units = units_of(texts[i], inputs);
        struct budget enough = {.limit = units};
        struct budget less = {.limit = units - 1};
        cr_expect_eq(render_within(texts[i], inputs, &enough), OK, "%s", texts[i]);
        cr_expect_eq(render_within(texts[i], inputs, &less), ERR_LIMIT, "%s", texts[i]);
        cr_expect(less.exceeded);
    }
}

Test(template, a_budget_names_its_limit)
{
    void *ctx = talloc_new(NULL);
    struct budget budget = {.limit = 3};
    struct template_scope scope = {.inputs = parse_json(ctx, "{\"a\":1}"), .budget = &budget};
    json_object *value;
    const char *why;
    struct json_template *t = template_compile(ctx, parse_json(ctx, "\"${/inputs/a}\""), TEMPLATE_VALUE, "",
                                               NULL, json_problems_new(ctx));
    cr_expect_eq(template_render(ctx, t, &scope, 1000, &value, &why), ERR_LIMIT);
    cr_expect_str_eq(why, "the evaluation exceeds the limit of 3 units of work");
    talloc_free(ctx);
}

/* An array [1,1,...] of n numbers, or n times `item`; of ctx. */
static char *array_of(void *ctx, const char *item, size_t n)
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

/* The largest result that can be passed on fits, and so does a text of that size. */
Test(template, the_largest_results_fit_the_budget)
{
    void *ctx = talloc_new(NULL);
    struct budget budget = {.limit = BUDGET_EVALUATION};
    char *inputs = talloc_asprintf(ctx, "{\"l\":%s}", array_of(ctx, "1", TEMPLATE_RESULT_MAX / 2 - 1));
    cr_expect_eq(render_within("\"${/inputs/l}\"", inputs, &budget), OK);
    budget = (struct budget){.limit = BUDGET_EVALUATION};
    inputs = talloc_asprintf(ctx, "{\"l\":%s}", array_of(ctx, "{\"a\":1}", 30000));
    cr_expect_eq(render_within("[\"${/inputs/l}\"]", inputs, &budget), OK);
    budget = (struct budget){.limit = BUDGET_EVALUATION};
    inputs = talloc_asprintf(ctx, "{\"t\":\"%s\"}", array_of(ctx, "1", TEMPLATE_RESULT_MAX / 2 - 2));
    cr_expect_eq(render_within("\"${/inputs/t}\"", inputs, &budget), OK);
    talloc_free(ctx);
}

/* Compiling a literal must not take as many times as long as it has levels. */
Test(template, a_deep_literal_is_compiled_once)
{
    void *ctx = talloc_new(NULL);
    char *text = array_of(ctx, "{}", 20000);
    for (int level = 0; level < 25; level++)
        text = talloc_asprintf(ctx, "[%s]", text);
    json_object *document = parse_json(ctx, text);
    void *own = talloc_new(ctx);
    struct json_template *t =
        template_compile(own, document, TEMPLATE_VALUE, "", NULL, json_problems_new(ctx));
    json_object *literal;
    cr_assert(template_is_literal(t, &literal));
    /* a node has one literal and one talloc chunk for it, at whatever level it stands */
    cr_expect_leq(talloc_total_blocks(own), 6 * 20100);
    talloc_free(ctx);
}

Test(template, absent_scopes_find_nothing)
{
    void *ctx = talloc_new(NULL);
    static const char *const texts[] = {"\"${/inputs}\"",     "\"${/inputs/a}\"", "\"${/steps}\"",
                                        "\"${/item}\"",       "\"${/index}\"",    "\"${/execution}\"",
                                        "\"${/secrets/KEY}\""};
    struct template_scope none = {0};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_object *value;
        cr_expect_eq(render_value(ctx, texts[i], &none, 1000, &value), ERR_NOT_FOUND, "%s", texts[i]);
    }
    talloc_free(ctx);
}

Test(template, reports_its_properties)
{
    void *ctx = talloc_new(NULL);
    int uses = 0;
    struct template_scope scope = make_scope(ctx, &uses);
    static const struct {
        const char *text;
        bool reference, literal, finds, item, secrets;
    } rows[] = {
        {"\"${/inputs/n}\"", true, false, true, false, false},
        {"\"${/inputs/z}\"", true, false, true, false, false},
        {"\"${/inputs/x}\"", true, false, false, false, false},
        {"\"${/inputs/n} \"", false, false, false, false, false},
        {"[{\"a\":\"-${/item/k}\"}]", false, false, false, true, false},
        {"{\"a\":\"${/secrets/KEY}\"}", false, false, false, false, true},
        {"{\"a\":[\"$${\"]}", false, true, false, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_object *value;
        struct json_template *t = template_compile(ctx, parse_json(ctx, rows[i].text), TEMPLATE_VALUE, "",
                                                   NULL, json_problems_new(ctx));
        cr_expect_eq(template_is_reference(t), rows[i].reference, "%s", rows[i].text);
        cr_expect_eq(template_is_literal(t, &value), rows[i].literal, "%s", rows[i].text);
        bool found;
        value = template_find(ctx, t, &scope, &found);
        cr_expect_eq(found, rows[i].finds, "%s", rows[i].text);
        cr_expect(value == NULL || found, "%s", rows[i].text);
        cr_expect_eq(template_refers_to(t, REF_ITEM), rows[i].item, "%s", rows[i].text);
        cr_expect_eq(template_refers_to(t, REF_SECRETS), rows[i].secrets, "%s", rows[i].text);
    }
    talloc_free(ctx);
}

static const char *no_secrets(void *arg, void *ctx, const struct reference *r)
{
    return r->root == REF_SECRETS ? talloc_asprintf(ctx, "%s: %s", (const char *)arg, r->pointer) : NULL;
}

Test(template, reports_problems_by_pointer)
{
    void *ctx = talloc_new(NULL);
    struct json_problems *problems = json_problems_new(ctx);
    char rule[] = "no";
    struct template_rules rules = {.allow = no_secrets, .arg = rule};
    json_object *value =
        parse_json(ctx, "{\"a\":[\"${/secrets/X}\",1,\"${\"],\"b/c\":\"${/inputs}\",\"d\":\"${/x}\"}");
    cr_expect_null(template_compile(ctx, value, TEMPLATE_VALUE, "/steps/0/value", &rules, problems));
    cr_assert_eq(problems->count, 3);
    cr_expect_str_eq(problems->list[0].pointer, "/steps/0/value/a/0");
    cr_expect_str_eq(problems->list[0].message, "no: /secrets/X");
    cr_expect_str_eq(problems->list[1].pointer, "/steps/0/value/a/2");
    cr_expect_str_eq(problems->list[2].pointer, "/steps/0/value/d");
    talloc_free(ctx);
}

Test(template, looks_up_a_secret_once_per_use)
{
    void *ctx = talloc_new(NULL);
    int uses = 0;
    struct template_scope scope = make_scope(ctx, &uses);
    json_object *value;
    cr_expect_eq(render_value(ctx, "[\"${/secrets/KEY}\",\"x${/secrets/KEY}\",\"${/inputs/n}\"]", &scope,
                              1000, &value),
                 OK);
    cr_expect_eq(uses, 2);
    talloc_free(ctx);
}
