#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "runner/job.h"

#define BASE "\"argv\":[\"true\"],\"skill_dir\":\"/s\",\"run_dir\":\"/r\""

static enum err parse_job(void *ctx, const char *text, struct runner_job **job_r)
{
    const char *why = NULL;
    enum err e = runner_job_parse(ctx, text, strlen(text), job_r, &why);
    cr_expect_eq(e != OK, why != NULL, "%s", text);
    return e;
}

Test(job, has_safe_defaults)
{
    void *ctx = talloc_new(NULL);
    struct runner_job *job;
    cr_assert_eq(parse_job(ctx, "{" BASE "}", &job), OK);
    cr_expect_str_eq(job->argv[0], "true");
    cr_expect_null(job->argv[1]);
    cr_expect_not(job->network);
    cr_expect_not(job->no_seccomp);
    cr_expect_eq(job->memory_bytes, 256U << 20);
    cr_expect_eq(job->processes_max, 64);
    cr_expect_eq(job->uid, 0);
    cr_expect_null(job->artifacts);
    talloc_free(ctx);
}

Test(job, keeps_the_inputs_bytes)
{
    void *ctx = talloc_new(NULL);
    struct runner_job *job;
    cr_assert_eq(parse_job(ctx, "{" BASE ",\"stdin\":\"{ \\\"a\\\": 1.50 }\\u0000\"}", &job), OK);
    cr_expect_eq(job->stdin_bytes, 14);
    cr_expect_arr_eq(job->stdin_text, "{ \"a\": 1.50 }", 14);
    talloc_free(ctx);
}

Test(job, rejects_invalid_jobs)
{
    static const char *const bad[] = {
        "[]",
        "{}",
        "{\"argv\":[],\"skill_dir\":\"/s\",\"run_dir\":\"/r\"}",
        "{\"argv\":[\"a\\u0000b\"],\"skill_dir\":\"/s\",\"run_dir\":\"/r\"}",
        "{\"argv\":[\"true\"],\"skill_dir\":\"s\",\"run_dir\":\"/r\"}",
        "{" BASE ",\"memmory_mb\":1}",
        "{" BASE ",\"memory_mb\":0}",
        "{" BASE ",\"memory_mb\":\"64\"}",
        "{" BASE ",\"timeout_ms\":-1}",
        "{" BASE ",\"uid\":4294967295}",
        "{" BASE ",\"files\":[{\"source_path\":\"/x\",\"name\":\"a/b\"}]}",
        "{" BASE ",\"files\":[{\"source_path\":\"/x\",\"name\":\"..\"}]}",
        "{" BASE ",\"files\":[{\"source_path\":\"x\",\"name\":\"a\"}]}",
        "{" BASE ",\"files\":[7]}",
        "{" BASE ",\"env\":{\"LD_PRELOAD\":\"/x\"}}",
        "{" BASE ",\"env\":{\"A=B\":\"x\"}}",
        "{" BASE ",\"accept_missing\":[\"pid_ns\"]}",
        "{" BASE ",\"stdin\":{}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *ctx = talloc_new(NULL);
        struct runner_job *job;
        cr_expect_eq(parse_job(ctx, bad[i], &job), ERR_INVALID, "%s", bad[i]);
        talloc_free(ctx);
    }
}

Test(job, has_a_folder_of_its_own_for_a_warm_process)
{
    void *ctx = talloc_new(NULL);
    struct runner_job *job;
    cr_assert_eq(parse_job(ctx, "{" BASE "}", &job), OK);
    cr_expect(!job->warm && !job->last);
    cr_expect_str_eq(job->work_parent, "/r");
    cr_assert_eq(parse_job(ctx, "{" BASE ",\"warm\":true}", &job), OK);
    cr_expect_str_eq(job->work_parent, "/r");
    cr_assert_eq(parse_job(ctx, "{" BASE ",\"warm\":true,\"warm_dir\":\"/w\",\"last\":true}", &job), OK);
    cr_expect(job->warm && job->last);
    cr_expect_str_eq(job->work_parent, "/w");
    cr_expect_eq(parse_job(ctx, "{" BASE ",\"warm_dir\":\"/w\"}", &job), ERR_INVALID);
    cr_expect_eq(parse_job(ctx, "{" BASE ",\"warm\":true,\"warm_dir\":\"w\"}", &job), ERR_INVALID);
    talloc_free(ctx);
}

Test(job, has_a_trace_for_a_warm_command_only)
{
    static const char *const wrong[] = {
        "{" BASE ",\"traceparent\":\"x\"}",
        "{" BASE ",\"warm\":true,\"tracestate\":\"x\"}",
        "{" BASE ",\"warm\":true,\"traceparent\":1}",
        "{" BASE ",\"warm\":true,\"traceparent\":\"x\\u0000\"}",
    };
    void *ctx = talloc_new(NULL);
    struct runner_job *job;
    cr_assert_eq(parse_job(ctx, "{" BASE ",\"warm\":true,\"traceparent\":\"x\",\"tracestate\":\"y\"}", &job),
                 OK);
    cr_expect_str_eq(job->trace.traceparent, "x");
    cr_expect_str_eq(job->trace.tracestate, "y");
    cr_assert_eq(parse_job(ctx, "{" BASE ",\"warm\":true}", &job), OK);
    cr_expect(!job->trace.traceparent && !job->trace.tracestate);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect_eq(parse_job(ctx, wrong[i], &job), ERR_INVALID, "%s", wrong[i]);
    talloc_free(ctx);
}
