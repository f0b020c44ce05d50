#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "skill/manifest.h"

/* the beginning of a manifest with this slug, version, timeout and memory */
#define MANIFEST(slug, version, timeout, memory)                                                             \
    "{\"slug\":\"" slug "\",\"version\":\"" version                                                          \
    "\",\"name\":\"S\",\"description\":\"\",\"timeout_seconds\":" timeout ",\"memory_mb\":" memory ","
#define HEAD MANIFEST("s", "1.0.0", "5", "64")
#define SCHEMAS "\"inputs\":{\"type\":\"object\"},\"outputs\":{\"type\":\"object\"},"
#define COMMAND "\"runner\":{\"type\":\"command\",\"argv\":[\"sh\",\"-c\",\"true\"]}"

static struct manifest *compile_manifest(void *ctx, const char *text, struct json_problems **p)
{
    struct manifest *m;
    *p = json_problems_new(ctx);
    enum err e = manifest_compile(ctx, text, strlen(text), &m, *p);
    cr_assert((e == OK) == ((*p)->total == 0));
    return e == OK ? m : NULL;
}

Test(manifest, compiles_a_command_manifest)
{
    void *ctx = talloc_new(NULL);
    struct json_problems *p;
    struct manifest *m = compile_manifest(
        ctx, HEAD SCHEMAS COMMAND ",\"credits\":2.5,\"network\":true,\"artifacts\":[\"*.svg\"]}", &p);
    cr_assert(m);
    cr_expect_eq(m->runner, RUNNER_COMMAND);
    cr_expect_eq(m->argv_n, 3U);
    cr_expect_str_eq(m->argv[2], "true");
    cr_expect_null(m->argv[3]);
    cr_expect_eq(m->timeout_ms, 5000);
    cr_expect_eq(m->memory_mb, 64);
    cr_expect_eq(m->credits_micro, 2500000);
    cr_expect(m->network);
    cr_expect_str_eq(m->artifacts[0], "*.svg");
    cr_expect_not(m->warm);
    m = compile_manifest(
        ctx, HEAD SCHEMAS "\"runner\":{\"type\":\"command\",\"mode\":\"warm\",\"argv\":[\"a\"]}}", &p);
    cr_assert(m);
    cr_expect(m->warm);
    talloc_free(ctx);
}

Test(manifest, compiles_a_model_manifest)
{
    void *ctx = talloc_new(NULL);
    struct json_problems *p;
    struct manifest *m = compile_manifest(
        ctx,
        HEAD SCHEMAS "\"runner\":{\"type\":\"model\",\"prompt\":\"Say ${/inputs/x}\",\"tools\":[\"a\"]}}",
        &p);
    cr_assert(m);
    cr_expect_eq(m->runner, RUNNER_MODEL);
    cr_expect_eq(m->max_iterations, MANIFEST_ITERATIONS_DEFAULT);
    cr_expect_eq(m->tools_n, 1U);
    cr_expect_null(m->system);
    cr_expect_null(m->artifacts);
    talloc_free(ctx);
}

/* Each wrong manifest, and the pointer of its first problem. */
Test(manifest, reports_problems_by_pointer)
{
    static const struct {
        const char *text, *pointer;
    } wrong[] = {
        {"", ""},
        {"[]", ""},
        {"{\"slug\":\"s\"", ""},
        {HEAD SCHEMAS COMMAND ",\"slug\":\"t\"}", ""},
        {HEAD SCHEMAS "\"runner\":{\"type\":\"command\",\"argv\":[]}}", "/runner"},
        {HEAD SCHEMAS "\"runner\":{\"type\":\"command\",\"argv\":[\"a\"],\"mode\":\"hot\"}}", "/runner"},
        {HEAD SCHEMAS COMMAND ",\"more\":1}", ""},
        {MANIFEST("executions", "1.0.0", "5", "64") SCHEMAS COMMAND "}", "/slug"},
        {MANIFEST("Upper", "1.0.0", "5", "64") SCHEMAS COMMAND "}", "/slug"},
        {MANIFEST("s", "1.0", "5", "64") SCHEMAS COMMAND "}", "/version"},
        {MANIFEST("s", "1.0.0", "5", "1") SCHEMAS COMMAND "}", "/memory_mb"},
        {MANIFEST("s", "1.0.0", "0", "64") SCHEMAS COMMAND "}", "/timeout_seconds"},
        {HEAD SCHEMAS COMMAND ",\"credits\":0.0000001}", "/credits"},
        {HEAD "\"outputs\":{\"type\":\"object\"}," COMMAND ",\"inputs\":{\"type\":\"x\"}}", "/inputs/type"},
        {HEAD "\"outputs\":{\"type\":\"object\"}," COMMAND ",\"inputs\":{\"$ref\":\"#/none\"}}",
         "/inputs/$ref"},
        {HEAD SCHEMAS "\"runner\":{\"type\":\"command\",\"argv\":[\"../x\"]}}", "/runner/argv/0"},
        {HEAD SCHEMAS "\"runner\":{\"type\":\"command\",\"argv\":[\"a\",\"b\\u0000c\"]}}", "/runner/argv/1"},
        {HEAD SCHEMAS "\"runner\":{\"type\":\"model\",\"prompt\":\"${/steps/x}\"}}", "/runner/prompt"},
        {HEAD SCHEMAS "\"runner\":{\"type\":\"model\",\"prompt\":\"${/secrets/x}\"}}", "/runner/prompt"},
        {HEAD SCHEMAS "\"runner\":{\"type\":\"model\",\"prompt\":\"x\",\"tools\":[\"s\"]}}",
         "/runner/tools/0"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        void *ctx = talloc_new(NULL);
        struct json_problems *p;
        cr_expect_null(compile_manifest(ctx, wrong[i].text, &p), "%s", wrong[i].text);
        cr_assert_gt(p->count, 0U);
        cr_expect(strncmp(p->list[0].pointer, wrong[i].pointer, strlen(wrong[i].pointer)) == 0, "%s: %s %s",
                  wrong[i].text, p->list[0].pointer, p->list[0].message);
        talloc_free(ctx);
    }
}

Test(manifest, validates_slugs)
{
    char long_slug[MANIFEST_SLUG_MAX + 2];
    memset(long_slug, 'a', sizeof long_slug);
    long_slug[MANIFEST_SLUG_MAX + 1] = '\0';
    cr_expect(!manifest_slug_fits(long_slug));
    long_slug[MANIFEST_SLUG_MAX] = '\0';
    cr_expect(manifest_slug_fits(long_slug));
    cr_expect(manifest_slug_fits("a") && manifest_slug_fits("a-1"));
    cr_expect(!manifest_slug_fits("") && !manifest_slug_fits("-a") && !manifest_slug_fits("a-"));
    cr_expect(!manifest_slug_fits("A") && !manifest_slug_fits("a/b") && !manifest_slug_fits("executions"));
}
