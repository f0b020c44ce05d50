#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "runner/artifacts.h"
#include "runner/job.h"
#include "runner/report.h"
#include "runner/stderr_log.h"
#include "runner/untrusted_dir.h"

#define BASE "\"argv\":[\"true\"],\"skill_dir\":\"/s\",\"run_dir\":\"/r\""

static enum err parse_job(void *ctx, const char *text, struct runner_job **job_r)
{
    const char *why = NULL;
    enum err e = runner_job_parse(ctx, text, strlen(text), job_r, &why);
    cr_expect_eq(e != OK, why != NULL, "%s", text);
    return e;
}

Test(runner, a_job_has_safe_defaults)
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

Test(runner, a_job_keeps_the_inputs_bytes)
{
    void *ctx = talloc_new(NULL);
    struct runner_job *job;
    cr_assert_eq(parse_job(ctx, "{" BASE ",\"stdin\":\"{ \\\"a\\\": 1.50 }\\u0000\"}", &job), OK);
    cr_expect_eq(job->stdin_bytes, 14);
    cr_expect_arr_eq(job->stdin_text, "{ \"a\": 1.50 }", 14);
    talloc_free(ctx);
}

Test(runner, rejects_invalid_jobs)
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

static bool parse_progress(const char *line, int *percent, char *message)
{
    return stderr_log_parse_progress(line, strlen(line), percent, message, 16);
}

Test(runner, parses_progress_lines)
{
    int percent = -1;
    char message[16];
    cr_expect(parse_progress("::progress 40 half way", &percent, message));
    cr_expect_eq(percent, 40);
    cr_expect_str_eq(message, "half way");
    cr_expect(parse_progress("::progress 7", &percent, message));
    cr_expect_eq(percent, 7);
    cr_expect_str_eq(message, "");
    cr_expect(parse_progress("::progress 99999999999999999999 a very long message", &percent, message));
    cr_expect_eq(percent, 100);
    cr_expect_str_eq(message, "a very long mes");
    cr_expect(parse_progress("::progress 50% x", &percent, message));
    cr_expect_not(parse_progress("::progress", &percent, message));
    cr_expect_not(parse_progress("::progress -1 x", &percent, message));
    cr_expect_not(parse_progress("::progress 5x", &percent, message));
    cr_expect_not(parse_progress(" ::progress 5", &percent, message));
}

static struct stderr_log *new_log(void *ctx, uint64_t max)
{
    char path[] = "/tmp/runner-log-XXXXXX";
    struct stderr_log *log = talloc_zero(ctx, struct stderr_log);
    log->fd = mkstemp(path);
    unlink(path);
    log->max_bytes = max;
    return log;
}

static void expect_kept(const struct stderr_log *log, const char *text)
{
    char kept[256] = "";
    cr_assert_geq(pread(log->fd, kept, sizeof kept - 1, 0), 0);
    cr_expect_str_eq(kept, text);
}

Test(runner, accepts_a_log_in_chunks)
{
    void *ctx = talloc_new(NULL);
    struct stderr_log *log = new_log(ctx, 100);
    const char *text = "one\n::progress 5 x\ntwo";
    for (const char *c = text; *c; c++)
        stderr_log_feed(log, c, 1);
    expect_kept(log, "one\n");
    cr_expect(log->has_progress);
    stderr_log_end(log);
    expect_kept(log, "one\ntwo");
    talloc_free(ctx);
}

Test(runner, a_log_stops_at_its_cap)
{
    void *ctx = talloc_new(NULL);
    struct stderr_log *log = new_log(ctx, 6);
    stderr_log_feed(log, "one\ntwo\nthree\n", 14);
    expect_kept(log, "one\ntw");
    cr_expect(log->truncated);
    cr_expect_eq(log->kept_bytes, 6);
    talloc_free(ctx);
}

Test(runner, a_long_line_is_never_progress)
{
    void *ctx = talloc_new(NULL);
    struct stderr_log *log = new_log(ctx, 100000);
    char *line = talloc_zero_size(ctx, LOG_LINE_MAX);
    memset(line, 'x', LOG_LINE_MAX);
    stderr_log_feed(log, line, LOG_LINE_MAX);
    stderr_log_feed(log, "::progress 5 x\n", 15);
    cr_expect_not(log->has_progress);
    cr_expect_eq(log->kept_bytes, LOG_LINE_MAX + 15);
    talloc_free(ctx);
}

static void expect_text(const char *bytes, size_t size, const char *text)
{
    json_object *o = runner_report_text(bytes, size);
    cr_expect_str_eq(json_object_get_string(o), text);
    json_object_put(o);
}

Test(runner, replaces_invalid_utf8)
{
    expect_text("gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f");
    expect_text("a\xff"
                "b",
                3,
                "a\xef\xbf\xbd"
                "b");
    expect_text("\xc3", 1, "\xef\xbf\xbd");
    expect_text("\xc0\xaf", 2, "\xef\xbf\xbd\xef\xbf\xbd");
    expect_text("\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    expect_text("\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80");
    expect_text("a\0b", 3,
                "a\xef\xbf\xbd"
                "b");
}

Test(runner, matches_globs)
{
    const char *globs[] = {"*.svg", "outputs/report/*", "**/data.csv", NULL};
    cr_expect(runner_artifacts_match(NULL, "anything"));
    cr_expect(runner_artifacts_match(globs, "a.svg"));
    cr_expect(runner_artifacts_match(globs, "deep/er/a.svg"));
    cr_expect(runner_artifacts_match(globs, "report/x"));
    cr_expect(runner_artifacts_match(globs, "data.csv"));
    cr_expect(runner_artifacts_match(globs, "a/data.csv"));
    cr_expect_not(runner_artifacts_match(globs, "a.txt"));
    cr_expect_not(runner_artifacts_match(globs + 3, "a.svg"));
}

Test(runner, a_deep_tree_exceeds_the_limit_and_can_be_removed)
{
    char top[] = "/tmp/runner-tree-XXXXXX";
    cr_assert_not_null(mkdtemp(top));
    int fd = open(top, O_RDONLY | O_DIRECTORY), at = dup(fd);
    for (int i = 0; i < 300; i++) {
        cr_assert_eq(mkdirat(at, "a-folder-with-a-long-name-to-outgrow-PATH_MAX", 0755), 0);
        int next = openat(at, "a-folder-with-a-long-name-to-outgrow-PATH_MAX", O_RDONLY | O_DIRECTORY);
        if (i == 10)
            cr_expect_neq(untrusted_dir_usage(fd), UINT64_MAX);
        close(at);
        at = next;
    }
    close(at);
    cr_expect_eq(untrusted_dir_usage(fd), UINT64_MAX);
    close(fd);
    cr_expect(untrusted_dir_remove(top));
    cr_expect_neq(access(top, F_OK), 0);
}
