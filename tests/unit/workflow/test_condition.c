#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "workflow/condition.h"
#include "json/json.h"

static json_object *parse_json(void *ctx, const char *text)
{
    json_object *value;
    const char *why;
    enum err e = json_parse(ctx, text, strlen(text), JSON_DEPTH_MAX, &value, &why);
    cr_assert_eq(e, OK, "%s: %s", text, why);
    return value;
}

enum answer { NO, YES, FAILS };

static void check_condition(const char *text, enum answer answer, const char *why_part)
{
    void *ctx = talloc_new(NULL);
    struct template_scope scope = {
        .inputs = parse_json(
            ctx, "{\"n\":5,\"d\":5.0,\"s\":\"hello\",\"t\":true,\"f\":false,\"z\":null,\"zero\":0,\"e\":\"\","
                 "\"l\":[1,\"two\",null,[3],{\"a\":4}],\"el\":[],\"o\":{\"k\":1,\"z\":null},\"eo\":{},"
                 "\"big\":18446744073709551615,\"neg\":-1,\"umlaut\":\"\xc3\xa4\",\"nul\":\"a\\u0000b\"}"),
        .in_loop = true,
        .index = 0,
    };
    struct json_problems *problems = json_problems_new(ctx);
    struct condition *c = condition_compile(ctx, parse_json(ctx, text), "/if", NULL, problems);
    bool holds = false;
    const char *why = NULL;
    enum err e = ERR_INVALID;
    if (c)
        e = condition_eval(ctx, c, &scope, &holds, &why);
    else
        why = problems->count ? problems->list[0].message : NULL;
    if (answer == FAILS) {
        cr_expect(e != OK && why && strstr(why, why_part), "%s: %s", text, why ? why : "no error");
    } else {
        cr_expect_eq(e, OK, "%s: %s", text, why);
        cr_expect_eq(holds, answer == YES, "%s", text);
    }
    talloc_free(ctx);
}

Test(condition, evaluates_conditions)
{
    static const struct {
        const char *text;
        enum answer answer;
        const char *why;
    } rows[] = {
        {"true", YES, NULL},
        {"false", NO, NULL},
        {"\"${/inputs/t}\"", YES, NULL},
        {"\"${/inputs/f}\"", NO, NULL},
        {"\"${/inputs/z}\"", NO, NULL},
        {"\"${/inputs/none}\"", NO, NULL},
        {"\"${/inputs/zero}\"", NO, NULL},
        {"\"${/index}\"", NO, NULL},
        {"\"${/item}\"", NO, NULL},
        {"\"${/inputs/n}\"", YES, NULL},
        {"\"${/inputs/neg}\"", YES, NULL},
        {"\"${/inputs/e}\"", NO, NULL},
        {"\"${/inputs/s}\"", YES, NULL},
        {"\"${/inputs/el}\"", NO, NULL},
        {"\"${/inputs/l}\"", YES, NULL},
        {"\"${/inputs/eo}\"", NO, NULL},
        {"\"${/inputs/o}\"", YES, NULL},
        {"{\"==\":[\"${/inputs/n}\",5]}", YES, NULL},
        {"{\"==\":[\"${/inputs/n}\",\"${/inputs/d}\"]}", YES, NULL},
        {"{\"==\":[\"${/inputs/n}\",\"5\"]}", NO, NULL},
        {"{\"!=\":[\"${/inputs/n}\",\"5\"]}", YES, NULL},
        {"{\"==\":[\"a${/inputs/n}\",\"a5\"]}", YES, NULL},
        {"{\"==\":[\"${/inputs/none}\",null]}", YES, NULL},
        {"{\"==\":[\"a${/inputs/none}\",\"anull\"]}", YES, NULL},
        {"{\"==\":[\"${/inputs/none}\",\"${/inputs/z}\"]}", YES, NULL},
        {"{\"==\":[{\"a\":[1,\"${/inputs/n}\"],\"b\":2},{\"b\":2.0,\"a\":[1,5]}]}", YES, NULL},
        {"{\"==\":[{\"x\":1,\"==\":[1,1]},{\"x\":1,\"==\":[1,1]}]}", YES, NULL},
        {"{\"==\":[{\"==\":[1,1]},true]}", YES, NULL},
        {"{\"==\":[{\"<\":[2,1]},false]}", YES, NULL},
        {"{\"<\":[\"${/inputs/n}\",6]}", YES, NULL},
        {"{\"<\":[\"${/inputs/n}\",5]}", NO, NULL},
        {"{\"<=\":[\"${/inputs/n}\",5.0]}", YES, NULL},
        {"{\">\":[\"${/inputs/n}\",4.999]}", YES, NULL},
        {"{\">=\":[\"${/inputs/n}\",5.001]}", NO, NULL},
        {"{\"<\":[\"${/inputs/neg}\",\"${/inputs/big}\"]}", YES, NULL},
        {"{\">\":[\"${/inputs/big}\",18446744073709551614]}", YES, NULL},
        {"{\"<\":[9007199254740992.0,9007199254740993]}", YES, NULL},
        {"{\"<\":[\"abc\",\"abd\"]}", YES, NULL},
        {"{\"<\":[\"ab\",\"abc\"]}", YES, NULL},
        {"{\"<=\":[\"\",\"\"]}", YES, NULL},
        {"{\"<\":[\"Z\",\"a\"]}", YES, NULL},
        {"{\">\":[\"${/inputs/umlaut}\",\"z\"]}", YES, NULL},
        {"{\"<\":[\"\xef\xbf\xbf\",\"\xf0\x9f\x98\x80\"]}", YES, NULL},
        {"{\">\":[\"${/inputs/nul}\",\"a\"]}", YES, NULL},
        {"{\"in\":[1,\"${/inputs/l}\"]}", YES, NULL},
        {"{\"in\":[1.0,\"${/inputs/l}\"]}", YES, NULL},
        {"{\"in\":[[3],\"${/inputs/l}\"]}", YES, NULL},
        {"{\"in\":[{\"a\":4},\"${/inputs/l}\"]}", YES, NULL},
        {"{\"in\":[null,\"${/inputs/l}\"]}", YES, NULL},
        {"{\"in\":[null,\"${/inputs/el}\"]}", NO, NULL},
        {"{\"in\":[\"1\",\"${/inputs/l}\"]}", NO, NULL},
        {"{\"in\":[\"ell\",\"${/inputs/s}\"]}", YES, NULL},
        {"{\"in\":[\"\",\"${/inputs/s}\"]}", YES, NULL},
        {"{\"in\":[\"elo\",\"${/inputs/s}\"]}", NO, NULL},
        {"{\"in\":[\"b\",\"${/inputs/nul}\"]}", YES, NULL},
        {"{\"in\":[\"k\",\"${/inputs/o}\"]}", YES, NULL},
        {"{\"in\":[\"z\",\"${/inputs/o}\"]}", YES, NULL},
        {"{\"in\":[\"k\\u0000\",\"${/inputs/o}\"]}", NO, NULL},
        {"{\"in\":[1,\"${/inputs/none}\"]}", NO, NULL},
        {"{\"in\":[\"${/inputs/n}\",[1,\"${/inputs/d}\"]]}", YES, NULL},
        {"{\"exists\":[\"${/inputs/n}\"]}", YES, NULL},
        {"{\"exists\":[\"${/inputs/z}\"]}", YES, NULL},
        {"{\"exists\":[\"${/inputs/none}\"]}", NO, NULL},
        {"{\"exists\":[\"${/item}\"]}", YES, NULL},
        {"{\"exists\":[\"${/item/x}\"]}", NO, NULL},
        {"{\"not\":[true]}", NO, NULL},
        {"{\"not\":[\"${/inputs/none}\"]}", YES, NULL},
        {"{\"not\":[{\"exists\":[\"${/inputs/none}\"]}]}", YES, NULL},
        {"{\"and\":[true]}", YES, NULL},
        {"{\"and\":[true,\"${/inputs/n}\",{\"or\":[false,{\"not\":[false]}]}]}", YES, NULL},
        {"{\"and\":[true,false]}", NO, NULL},
        {"{\"or\":[false,\"${/inputs/z}\"]}", NO, NULL},
        /* arguments after the deciding one are not evaluated */
        {"{\"and\":[false,{\"<\":[\"${/inputs/s}\",1]}]}", NO, NULL},
        {"{\"or\":[true,{\"<\":[\"${/inputs/s}\",1]}]}", YES, NULL},
        {"{\"and\":[true,{\"<\":[\"${/inputs/s}\",1]}]}", FAILS,
         "< compares two numbers or two strings, not a string and a number"},
        {"{\"or\":[{\"<\":[\"${/inputs/s}\",1]},true]}", FAILS, "< compares"},
        {"{\"not\":[{\"<\":[\"${/inputs/s}\",1]}]}", FAILS, "< compares"},
        {"{\"==\":[{\"<\":[\"${/inputs/s}\",1]},true]}", FAILS, "< compares"},
        {"{\">=\":[\"${/inputs/none}\",1]}", FAILS, "not null and a number"},
        {"{\"<\":[\"${/inputs/t}\",\"${/inputs/f}\"]}", FAILS, "not a boolean and a boolean"},
        {"{\">\":[\"${/inputs/l}\",\"${/inputs/o}\"]}", FAILS, "not an array and an object"},
        {"{\"in\":[3,\"${/inputs/s}\"]}", FAILS, "not for a number in a string"},
        {"{\"in\":[3,\"${/inputs/o}\"]}", FAILS, "not for a number in an object"},
        {"{\"in\":[\"3\",\"${/inputs/n}\"]}", FAILS, "not for a string in a number"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_condition(rows[i].text, rows[i].answer, rows[i].why);
}

Test(condition, rejects_conditions_that_can_never_evaluate)
{
    static const struct {
        const char *text, *pointer, *why;
    } rows[] = {
        {"null", "/if", "a condition is"},
        {"1", "/if", "a condition is"},
        {"[]", "/if", "a condition is"},
        {"{}", "/if", "a condition is"},
        {"\"yes\"", "/if", "a condition is"},
        {"\"${/inputs/a} == 1\"", "/if", "a condition is"},
        {"\"$${/inputs/a}\"", "/if", "a condition is"},
        {"{\"===\":[1,1]}", "/if", "a condition is"},
        {"{\"==\":[1,1],\"!=\":[1,2]}", "/if", "a condition is"},
        {"{\"==\":[1]}", "/if/==", "== takes an array of two arguments"},
        {"{\"==\":[1,2,3]}", "/if/==", "two arguments"},
        {"{\"==\":1}", "/if/==", "two arguments"},
        {"{\"==\":null}", "/if/==", "two arguments"},
        {"{\"and\":[]}", "/if/and", "one argument or more"},
        {"{\"not\":[]}", "/if/not", "one argument"},
        {"{\"not\":true}", "/if/not", "one argument"},
        {"{\"not\":[true,true]}", "/if/not", "one argument"},
        {"{\"exists\":[\"x\"]}", "/if/exists", "one reference"},
        {"{\"exists\":[{\"not\":[true]}]}", "/if/exists", "one reference"},
        {"{\"and\":[true,3]}", "/if/and/1", "a condition is"},
        {"{\"or\":[{\"x\":[1]}]}", "/if/or/0", "a condition is"},
        {"{\"and\":[{\"not\":[{\"<\":[1,\"${/inptus}\"]}]}]}", "/if/and/0/not/0/</1",
         "must start with /inputs"},
        {"{\"<\":[1,\"2\"]}", "/if/<", "not a number and a string"},
        {"{\">\":[null,null]}", "/if/>", "not null and null"},
        {"{\"in\":[1,2]}", "/if/in", "not for a number in a number"},
        {"{\"==\":[\"${\",1]}", "/if/==/0", "lacks its closing }"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *ctx = talloc_new(NULL);
        struct json_problems *problems = json_problems_new(ctx);
        struct condition *c = condition_compile(ctx, parse_json(ctx, rows[i].text), "/if", NULL, problems);
        cr_expect_null(c, "%s", rows[i].text);
        cr_expect_eq(problems->count, 1, "%s: %zu", rows[i].text, problems->count);
        if (problems->count) {
            cr_expect_str_eq(problems->list[0].pointer, rows[i].pointer, "%s", rows[i].text);
            cr_expect(strstr(problems->list[0].message, rows[i].why), "%s: %s", rows[i].text,
                      problems->list[0].message);
        }
        talloc_free(ctx);
    }
}

Test(condition, reports_its_references)
{
    void *ctx = talloc_new(NULL);
    const char *text = "{\"and\":[\"${/inputs/a}\",{\"==\":[[{\"x\":\"${/item/k}\"}],1]}]}";
    struct condition *c = condition_compile(ctx, parse_json(ctx, text), "", NULL, json_problems_new(ctx));
    cr_assert_not_null(c);
    cr_expect(condition_refers_to(c, REF_INPUTS));
    cr_expect(condition_refers_to(c, REF_ITEM));
    cr_expect_not(condition_refers_to(c, REF_INDEX));
    talloc_free(ctx);
}

/* --- the budget --- */

static char *list_of(void *ctx, const char *item, size_t n)
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

static enum err eval_within(void *ctx, const char *text, const char *inputs, struct budget *budget,
                            bool *holds_r, const char **why_r)
{
    struct template_scope scope = {.inputs = parse_json(ctx, inputs), .budget = budget};
    struct condition *c = condition_compile(ctx, parse_json(ctx, text), "/if", NULL, json_problems_new(ctx));
    cr_assert_not_null(c);
    return condition_eval(ctx, c, &scope, holds_r, why_r);
}

/* One search of the longest list that a request can hold fits; a search of the same list 300 times does not,
 * and stops where the budget ends. */
Test(condition, searches_of_a_long_list_are_limited)
{
    void *ctx = talloc_new(NULL);
    char *inputs = talloc_asprintf(ctx, "{\"l\":%s}", list_of(ctx, "1", 60000));
    struct budget budget = {.limit = BUDGET_EVALUATION};
    bool holds = true;
    const char *why;
    cr_expect_eq(eval_within(ctx, "{\"in\":[\"x\",\"${/inputs/l}\"]}", inputs, &budget, &holds, &why), OK);
    cr_expect_not(holds);
    char *many = talloc_asprintf(ctx, "{\"or\":%s}", list_of(ctx, "{\"in\":[\"x\",\"${/inputs/l}\"]}", 300));
    budget = (struct budget){.limit = BUDGET_EVALUATION};
    cr_expect_eq(eval_within(ctx, many, inputs, &budget, &holds, &why), ERR_LIMIT);
    cr_expect_str_eq(why, "the evaluation exceeds the limit of 1000000 units of work");
    cr_expect_leq(budget.used, BUDGET_EVALUATION);
    talloc_free(ctx);
}

/* Every operator is charged for what it looks at: twice the data costs about twice as much. */
Test(condition, all_operators_are_charged_by_size)
{
    static const struct {
        const char *text, *item;
    } rows[] = {
        {"{\"==\":[\"${/inputs/a}\",\"${/inputs/b}\"]}", "1"},
        {"{\"!=\":[\"${/inputs/a}\",\"${/inputs/b}\"]}", "\"text\""},
        {"{\"==\":[\"${/inputs/a}\",\"${/inputs/b}\"]}", "{\"a\":[1],\"b\":null}"},
        {"{\"in\":[2,\"${/inputs/a}\"]}", "1"},
        {"{\"in\":[\"x\",\"${/inputs/s}\"]}", "1"},
        {"{\"<\":[\"${/inputs/s}\",\"${/inputs/t}\"]}", "1"},
        {"{\"==\":[\"${/inputs/s}\",\"${/inputs/t}\"]}", "1"},
        {"{\"==\":[\"x${/inputs/s}\",1]}", "1"},
        {"{\"==\":[\"x${/inputs/a}\",1]}", "1"},
        {"{\"==\":[[\"${/inputs/a}\"],1]}", "1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t used[2];
        for (size_t n = 0; n < 2; n++) {
            void *ctx = talloc_new(NULL);
            char *list = list_of(ctx, rows[i].item, 4000 * (n + 1));
            char *letters = list_of(ctx, "a", 20000 * (n + 1));
            char *inputs = talloc_asprintf(ctx, "{\"a\":%s,\"b\":%s,\"s\":\"%s\",\"t\":\"%s\"}", list, list,
                                           letters, letters);
            struct budget budget = {.limit = SIZE_MAX};
            bool holds;
            const char *why;
            cr_expect_eq(eval_within(ctx, rows[i].text, inputs, &budget, &holds, &why), OK, "%s",
                         rows[i].text);
            used[n] = budget.used;
            talloc_free(ctx);
        }
        cr_expect(used[1] > used[0] + used[0] / 2 && used[0] > 100, "%s: %zu units, then %zu", rows[i].text,
                  used[0], used[1]);
    }
}

/* A comparison that was cut off must not look like "not equal". */
Test(condition, beyond_the_budget_nothing_holds)
{
    static const char *const texts[] = {
        "{\"!=\":[\"${/inputs/a}\",\"${/inputs/b}\"]}",
        "{\"not\":[{\"in\":[2,\"${/inputs/a}\"]}]}",
        "{\"or\":[{\"==\":[\"${/inputs/a}\",\"${/inputs/b}\"]},true]}",
        "{\"not\":[{\"exists\":[\"${/inputs/a}\"]}]}",
    };
    for (size_t limit = 0; limit < 40; limit++) {
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            void *ctx = talloc_new(NULL);
            struct budget budget = {.limit = limit};
            bool holds = true;
            const char *why;
            enum err e = eval_within(ctx, texts[i], "{\"a\":[1,1,1,1,1,1,1],\"b\":[1,1,1,1,1,1,1]}", &budget,
                                     &holds, &why);
            cr_expect_eq(e == OK, !budget.exceeded, "%s within %zu", texts[i], limit);
            cr_expect(e == OK || (!holds && why), "%s within %zu", texts[i], limit);
            talloc_free(ctx);
        }
    }
}
