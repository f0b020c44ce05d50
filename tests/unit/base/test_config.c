#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "base/config.h"

static const char *write_config_file(void *ctx, const char *text)
{
    char *path = talloc_strdup(ctx, "/tmp/millrace-config-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

static enum err load_text(void *ctx, const char *text, struct config **c, const char **why)
{
    const char *path = write_config_file(ctx, text);
    enum err e = config_load(ctx, path, c, why);
    unlink(path);
    return e;
}

Test(config, uses_defaults_for_missing_settings)
{
    void *ctx = talloc_new(NULL);
    struct config *c;
    const char *why;
    cr_assert_eq(load_text(ctx, "[api]\nworkers = 5\n", &c, &why), OK, "%s", why);
    cr_assert_eq(c->api.workers, 5);
    cr_assert_eq(c->executor.processes, 2);
    cr_assert_str_eq(c->database.name, "millrace");
    talloc_free(ctx);
}

Test(config, accepts_times_that_fit_together)
{
    static const char *const texts[] = {
        "[database]\ntimeout_s = 5\nsettle_s = 8\n[executor]\nlease_s = 15\n",
        "[database]\ntimeout_s = 4\n",
        "[executor]\nlease_s = 9\nstall_abort_s = 6\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        void *ctx = talloc_new(NULL);
        struct config *c;
        const char *why = "";
        cr_expect_eq(load_text(ctx, texts[i], &c, &why), OK, "%s%s", texts[i], why);
        talloc_free(ctx);
    }
}

Test(config, rejects_invalid_settings_by_name)
{
    static const struct {
        const char *text, *names;
    } cases[] = {
        {"[api]\nworker = 5\n", "[api] worker = 5 is not a known setting"},
        {"[apis]\nworkers = 5\n", "[apis] workers"},
        {"[api]\nworkers = 0\n", "is not in the range 1 to 64"},
        {"[api]\nworkers = 65\n", "is not in the range 1 to 64"},
        {"[api]\nworkers = five\n", "is not a whole number"},
        {"[api]\nworkers = 5x\n", "is not a whole number"},
        {"[api]\ncors_origins = https://a.example/\n", "an origin has no path"},
        {"[executor]\nlease_s = 9\n[database]\ntimeout_s = 4\n", "more than 3 + 4 + 2 = 9"},
        {"[database]\ntimeout_s = 5\n", "[executor] lease_s = 10 is too short"},
        {"[database]\ntimeout_s = 30\nsettle_s = 13\n[executor]\nlease_s = 60\n", "30 + 2 + 13 + 30 = 75 s"},
        {"[executor]\nstall_abort_s = 5\n", "at least 3 + 2 + 1 = 6"},
        {"workers\n", "line 1: syntax error"},
        {"[api]\n; a comment\n\nworkers = five\n", "line 4: [api] workers = five is not a whole number"},
        {"[api]\nworkers = 0\nworker = 1\n", "line 2: [api] workers = 0 is not in the range"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *ctx = talloc_new(NULL);
        struct config *c;
        const char *why = "";
        cr_expect_eq(load_text(ctx, cases[i].text, &c, &why), ERR_INVALID, "%s", cases[i].text);
        cr_expect(strstr(why, cases[i].names), "%s: %s", cases[i].text, why);
        talloc_free(ctx);
    }
}

Test(config, dump_round_trips)
{
    void *ctx = talloc_new(NULL);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    config_dump(out, NULL);
    fclose(out);
    struct config *c;
    const char *why;
    cr_assert_eq(load_text(ctx, text, &c, &why), OK, "%s", why);
    cr_assert_eq(c->api.workers, 32);
    free(text);
    talloc_free(ctx);
}

Test(config, reports_what_else_was_tried)
{
    void *ctx = talloc_new(NULL);
    char folder[] = "/tmp/millrace-config-XXXXXX";
    struct config *c;
    const char *why = "";
    cr_assert(mkdtemp(folder) && chdir(folder) == 0);
    unsetenv("MILLRACE_CONFIG");
    if (access("/etc/millrace/millrace.ini", F_OK) != 0) {
        cr_assert_eq(config_load(ctx, config_find(), &c, &why), ERR_INVALID);
        cr_assert(strstr(why, "/etc/millrace/millrace.ini") && strstr(why, "run/millrace.ini") &&
                      strstr(why, "MILLRACE_CONFIG"),
                  "%s", why);
    }
    setenv("MILLRACE_CONFIG", "/tmp/none.ini", 1);
    cr_assert_eq(config_load(ctx, config_find(), &c, &why), ERR_INVALID);
    cr_assert(strstr(why, "/tmp/none.ini: cannot be read: No such file"), "%s", why);
    cr_assert_eq(rmdir(folder), 0);
    talloc_free(ctx);
}

Test(config, reads_where_spans_go)
{
    static const char *const right[] = {"endpoint = http://127.0.0.1:4318",
                                        "endpoint = https://collector.example/base/",
                                        "endpoint = unix:/run/otel.sock",
                                        "endpoint =",
                                        "sample_ratio = 0.25",
                                        NULL};
    static const char *const wrong[] = {"endpoint = 127.0.0.1:4318",
                                        "endpoint = ftp://x",
                                        "endpoint = http://",
                                        "endpoint = http:///x",
                                        "endpoint = unix:",
                                        "endpoint = unix:run/x",
                                        "endpoint = http://u@h",
                                        "endpoint = http://h?q=1",
                                        "sample_ratio = 2",
                                        "sample_ratio = 1%",
                                        "sample_ratio = -1",
                                        "spans_per_minute = 0",
                                        NULL};
    void *ctx = talloc_new(NULL);
    struct config *c;
    const char *why;
    for (int i = 0; right[i]; i++)
        cr_assert_eq(load_text(ctx, talloc_asprintf(ctx, "[otlp]\n%s\n", right[i]), &c, &why), OK, "%s",
                     right[i]);
    for (int i = 0; wrong[i]; i++) {
        cr_assert_eq(load_text(ctx, talloc_asprintf(ctx, "[otlp]\n%s\n", wrong[i]), &c, &why), ERR_INVALID,
                     "%s", wrong[i]);
        cr_assert_not_null(strstr(why, "[otlp] "), "%s", why);
    }
    talloc_free(ctx);
}
