#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "executor/run/model/answer_outputs.h"
#include "json/json.h"

/* In the texts ' stands for ". */
static char *quoted(void *ctx, const char *text)
{
    char *json = talloc_strdup(ctx, text);
    for (char *p = json; (p = strchr(p, '\''));)
        *p = '"';
    return json;
}

static struct manifest *manifest_with(void *ctx, const char *outputs)
{
    struct manifest *m;
    const char *text = quoted(
        ctx, talloc_asprintf(ctx,
                             "{'slug':'s','version':'1.0.0','name':'S','description':'',"
                             "'timeout_seconds':5,'memory_mb':64,'inputs':{'type':'object'},'outputs':%s,"
                             "'runner':{'type':'model','prompt':'x'}}",
                             outputs));
    cr_assert_eq(manifest_compile(ctx, text, strlen(text), &m, NULL), OK, "%s", outputs);
    return m;
}

static const char one_text[] =
    "{'type':'object','required':['text'],'properties':{'text':{'type':'string'}}}";
static const char one_number[] = "{'type':'object','properties':{'n':{'type':'integer'}}}";
static const char anything[] = "{'type':'object'}";

Test(answer_outputs, finds_the_outputs)
{
    static const struct {
        const char *schema, *content, *found; /* found: the outputs, or NULL */
    } cases[] = {
        {one_text, "{'text':'a'}", "{\"text\":\"a\"}"},
        {one_text, "\xef\xbb\xbf {'text':'a'} ", "{\"text\":\"a\"}"},
        {one_text, "{'text':''}", "{\"text\":\"\"}"},
        {one_text, "Here you are:\n```json\n{'text':'a'}\n```\nBye", "{\"text\":\"a\"}"},
        {one_text, "Here is the JSON:\n{'text':'a {b} } \\' {'}", "{\"text\":\"a {b} } \\\" {\"}"},
        {one_text, "just words", "{\"text\":\"just words\"}"},
        {one_text, "words {with} braces", "{\"text\":\"words {with} braces\"}"},
        {one_text, "42", "{\"text\":\"42\"}"},
        {one_text, "a {b} then {'text':'a'}", "{\"text\":\"a\"}"},
        {one_text, "{'text':'a'} {'text':'a'}", "{\"text\":\"a\"}"},
        {one_text, "from {'word':1} follows {'text':'a'}", "{\"text\":\"a\"}"},
        {one_text, "{'text':'draft'} but\n```\n{'text':'a'}\n```", "{\"text\":\"a\"}"},
        {one_text, "{'text':'a'} or {'text':'b'}", NULL},
        {one_text, "{'text':", NULL},
        {one_text, "Here is the JSON: {'text':'a',}", NULL},
        {one_text, "Here is the JSON: {'x':{'text':'a'},}", NULL},
        {one_text, "Here is the JSON: {'x':{'text':'a'}", NULL},
        {one_text, "{'text':'a','text':'b'}", NULL},
        {one_text, "{'text':'\\ud800'}", NULL},
        {one_text, " [1]", NULL},
        {one_text, "```json\n{'text':\n```", NULL},
        {one_text, "{}", NULL},
        {one_number, "just words", NULL},
        {one_number, "{'n':1}", "{\"n\":1}"},
        {one_number, "{'n':'x'}", NULL},
        {one_number, "{'n':123456789012345678901234}", NULL},
        /* reasoning */
        {one_text, "<think>a {b}</think>\n{'text':'a'}", "{\"text\":\"a\"}"},
        {one_text, "<think>{'text':'no'}</think>\n{'text':'a'}", "{\"text\":\"a\"}"},
        {one_text, "\n<think></think><thinking>x</thinking>\n words", "{\"text\":\"words\"}"},
        {one_text, "the user wants {'text':'no'}\n</think>\n\n{'text':'a'}", "{\"text\":\"a\"}"},
        {one_text, "[THINK]x[/THINK]{'text':'a'}", "{\"text\":\"a\"}"},
        {one_text, "{'text':'<think>a</think>'}", "{\"text\":\"<think>a</think>\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *ctx = talloc_new(NULL);
        const char *text = quoted(ctx, cases[i].content), *why;
        json_object *outputs;
        enum answer_verdict v =
            answer_outputs(ctx, manifest_with(ctx, cases[i].schema), text, strlen(text), &outputs, &why);
        cr_expect_eq(v, cases[i].found ? ANSWER_OK : ANSWER_UNUSABLE, "%s: %s", cases[i].content, why);
        cr_expect_eq(why == NULL, outputs != NULL, "%s", cases[i].content);
        if (outputs && cases[i].found)
            cr_expect_str_eq(json_text(outputs, NULL), cases[i].found);
        talloc_free(ctx);
    }
}

Test(answer_outputs, nothing_but_reasoning_is_empty)
{
    static const char *const texts[] = {"", " \n", "<think>a</think>", "<think>a", "\xef\xbb\xbf"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        void *ctx = talloc_new(NULL);
        json_object *outputs;
        const char *why;
        cr_expect_eq(
            answer_outputs(ctx, manifest_with(ctx, one_text), texts[i], strlen(texts[i]), &outputs, &why),
            ANSWER_EMPTY, "%s", texts[i]);
        cr_expect_str_eq(why, "the model's answer is empty");
        talloc_free(ctx);
    }
}

Test(answer_outputs, plain_text_keeps_its_nul)
{
    void *ctx = talloc_new(NULL);
    json_object *outputs;
    const char *why;
    cr_assert_eq(answer_outputs(ctx, manifest_with(ctx, one_text), "a\0b", 3, &outputs, &why), ANSWER_OK);
    cr_expect_str_eq(json_text(outputs, NULL), "{\"text\":\"a\\u0000b\"}");
    talloc_free(ctx);
}

static char *nested(void *ctx, int levels)
{
    char *text = talloc_zero_size(ctx, 8 * (size_t)levels);
    for (int i = 1; i < levels; i++)
        strcat(text, "{\"a\":");
    strcat(text, "{}");
    for (int i = 1; i < levels; i++)
        strcat(text, "}");
    return text;
}

Test(answer_outputs, are_nested_64_levels_at_most)
{
    void *ctx = talloc_new(NULL);
    json_object *outputs;
    const char *why, *text = nested(ctx, TEMPLATE_DEPTH_MAX);
    struct manifest *m = manifest_with(ctx, anything);
    cr_expect_eq(answer_outputs(ctx, m, text, strlen(text), &outputs, &why), ANSWER_OK);
    text = nested(ctx, TEMPLATE_DEPTH_MAX + 1);
    cr_expect_eq(answer_outputs(ctx, m, text, strlen(text), &outputs, &why), ANSWER_UNUSABLE);
    cr_expect_not_null(strstr(why, "64 levels"), "%s", why);
    talloc_free(ctx);
}

Test(answer_outputs, a_text_full_of_braces_is_given_up)
{
    void *ctx = talloc_new(NULL);
    json_object *outputs;
    const char *why;
    char *text = talloc_size(ctx, MANIFEST_OUTPUT_MAX + 1);
    memset(text, '{', MANIFEST_OUTPUT_MAX + 1);
    text[0] = 'a';
    struct manifest *m = manifest_with(ctx, one_text);
    cr_expect_eq(answer_outputs(ctx, m, text, MANIFEST_OUTPUT_MAX, &outputs, &why), ANSWER_UNUSABLE);
    cr_expect_not_null(strstr(why, "too many braces"));
    cr_expect_eq(answer_outputs(ctx, m, text, MANIFEST_OUTPUT_MAX + 1, &outputs, &why), ANSWER_UNUSABLE);
    cr_expect_str_eq(why, "the model's answer is larger than 1 MiB");
    talloc_free(ctx);
}

/* {"l":[first,0,0,…]} with n values, in one allocation: ASan copies at each realloc. */
static char *list_of(void *ctx, int first, size_t n)
{
    char *head = talloc_asprintf(ctx, "{\"l\":[%d", first);
    size_t size = strlen(head);
    char *text = talloc_size(ctx, size + 2 * n + 3);
    memcpy(text, head, size);
    for (size_t i = 1; i < n; i++, size += 2)
        memcpy(text + size, ",0", 2);
    memcpy(text + size, "]}", 3);
    return text;
}

Test(answer_outputs, too_much_work_is_a_limit)
{
    void *ctx = talloc_new(NULL);
    json_object *outputs;
    const char *why;
    char *text = list_of(ctx, 0, JSON_VALUES_MAX + 1);
    cr_expect_eq(answer_outputs(ctx, manifest_with(ctx, anything), text, strlen(text), &outputs, &why),
                 ANSWER_LIMIT);
    cr_expect(strstr(why, "300000 values"), "%s", why);
    talloc_free(ctx);
}

/* Quotes of the prose between the objects do not hide them. */
Test(answer_outputs, several_objects_have_the_values_of_one)
{
    void *ctx = talloc_new(NULL);
    json_object *outputs;
    const char *why;
    char *text = talloc_strdup(ctx, "");
    for (int i = 0; i < 4; i++)
        text = talloc_asprintf(ctx, "%s the \" %s", text, list_of(ctx, i, JSON_VALUES_MAX / 4));
    cr_expect_eq(answer_outputs(ctx, manifest_with(ctx, anything), text, strlen(text), &outputs, &why),
                 ANSWER_LIMIT);
    cr_expect(strstr(why, "300000 values"), "%s", why);
    cr_expect_null(outputs);
    talloc_free(ctx);
}

/* One object is within the limit of a validation, sixteen are not; a valid one among them is not used. */
Test(answer_outputs, several_objects_have_the_validation_of_one)
{
    void *ctx = talloc_new(NULL);
    json_object *outputs;
    const char *why;
    struct manifest *m = manifest_with(ctx, "{'type':'object','properties':{'l':{'items':{'anyOf':["
                                            "{'type':'string'},{'type':'array'},{'type':'object'},"
                                            "{'type':'boolean'},{'type':'null'},{'type':'integer'}]}}}}");
    char *text = talloc_strdup(ctx, "{\"l\":[]}");
    char *one = list_of(ctx, 1, 17000);
    cr_expect_eq(answer_outputs(ctx, m, one, strlen(one), &outputs, &why), ANSWER_OK, "%s", why);
    for (int i = 1; i < 16; i++)
        text = talloc_asprintf(ctx, "%s then %s", text, list_of(ctx, i, 17000));
    cr_expect_eq(answer_outputs(ctx, m, text, strlen(text), &outputs, &why), ANSWER_LIMIT, "%s", why);
    cr_expect(strstr(why, "together exceed"), "%s", why);
    cr_expect_null(outputs);
    talloc_free(ctx);
}
