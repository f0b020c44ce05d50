#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "executor/run/skill/exit_verdict.h"
#include "json/json.h"

Test(exit_verdict, follows_from_the_record_of_the_runner)
{
    static const struct {
        const char *record; /* ' stands for "; NULL: the runner sent none */
        enum failure_reason reason;
        const char *error;
    } cases[] = {
        {NULL, REASON_INTERNAL, "the runner died"},
        {"{'exit_code':0}", REASON_NONE, NULL},
        {"{'exit_code':3}", REASON_STEP_FAILED, "the command ended with exit code 3"},
        {"{'exit_code':127,'detail':'not found'}", REASON_STEP_FAILED,
         "the command ended with exit code 127: not found"},
        {"{}", REASON_STEP_FAILED, "the command ended with exit code 0"},
        {"{'signal':9}", REASON_STEP_FAILED, "the command was killed by signal 9"},
        {"{'signal':9,'reason':'timeout'}", REASON_TIMEOUT, "the run exceeded its time limit"},
        {"{'reason':'memory_limit'}", REASON_MEMORY_LIMIT, "the run exceeded its memory limit"},
        {"{'reason':'output_limit'}", REASON_OUTPUT_LIMIT, "the outputs exceed their size limit"},
        {"{'reason':'disk_limit'}", REASON_OUTPUT_LIMIT, "the run exceeded its disk limit"},
        {"{'reason':'disk_limit','detail':'more than 20000 files and folders'}", REASON_OUTPUT_LIMIT,
         "the run exceeded its disk limit: more than 20000 files and folders"},
        {"{'reason':'process_limit'}", REASON_STEP_FAILED, "the run exceeded its process limit"},
        {"{'reason':'stopped','exit_code':0}", REASON_STOPPED, "the run was stopped"},
        {"{'reason':'sandbox'}", REASON_INTERNAL, "the runner failed"},
        {"{'reason':'sandbox','detail':'no cgroup'}", REASON_INTERNAL, "the runner failed: no cgroup"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *ctx = talloc_new(NULL);
        json_object *record = NULL;
        const char *why;
        char *text = cases[i].record ? talloc_strdup(ctx, cases[i].record) : NULL;
        for (char *p = text; p && (p = strchr(p, '\''));)
            *p = '"';
        if (text)
            cr_assert_eq(json_parse(ctx, text, strlen(text), JSON_DEPTH_MAX, &record, &why), OK, "%s", why);
        struct exit_verdict v = exit_verdict_of(ctx, record);
        cr_expect_eq(v.reason, cases[i].reason, "%s", cases[i].record ? cases[i].record : "none");
        if (cases[i].error)
            cr_expect_str_eq(v.error, cases[i].error);
        else
            cr_expect_null(v.error);
        talloc_free(ctx);
    }
}
